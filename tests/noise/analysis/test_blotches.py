"""Patches of black and white, and what looks like them: highlights and writing."""

from __future__ import annotations

import torch
from torch import Tensor

from mdn import noise
from mdn.noise.analysis import blotches


def shaded() -> Tensor:
    across = torch.linspace(0, 5, 128).expand(128, -1)
    return (0.5 + 0.3 * torch.sin(across) * torch.cos(across.T)).expand(3, -1, -1).clone()


def test_patches_are_found_wherever_they_are_seen() -> None:
    noisy = noise.add(shaded(), "impulse-blotches", 0.03, torch.Generator().manual_seed(0))
    assert blotches.present(noisy)
    black, white = blotches.marks(noisy[None])
    assert torch.equal((black | white)[0, 0], (noisy != shaded()).any(0))


def test_highlights_and_writing_are_none() -> None:
    lights = shaded()
    lights[:, ::16, ::16] = 1
    assert not blotches.present(lights)  # white ones alone
    page = torch.ones(3, 128, 128)
    page[:, 10:120:8, 5:120] = 0
    page[:, 10:120:8, 5:120:3] = 0.5
    assert not blotches.present(page)
    assert not blotches.present(torch.zeros(3, 8, 8))


def test_a_tile_marks_the_same_as_the_whole() -> None:
    noisy = noise.add(shaded(), "impulse-blotches", 0.03, torch.Generator().manual_seed(0))[None]
    inner = slice(24, -24)
    for whole, tile in zip(
        blotches.marks(noisy), blotches.marks(noisy[..., 16:112, 16:112]), strict=True
    ):
        assert torch.equal(whole[..., 16:112, 16:112][..., inner, inner], tile[..., inner, inner])
