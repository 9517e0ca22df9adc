"""Random dither is told from drawings, posterised pictures and patterns of dots."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mdn import noise
from mdn.zeroshot import dither


def scene() -> Tensor:
    grid = torch.linspace(0, 1, 128)
    across, down = torch.meshgrid(grid, grid, indexing="xy")
    return (0.5 + 0.4 * torch.sin(5 * across) * torch.cos(4 * down)).expand(3, -1, -1)


def stored(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round() / 255


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_step_of_random_dither_is_found(bits: int) -> None:
    noisy = stored(noise.add(scene(), "dither", bits, torch.Generator().manual_seed(0)))
    assert dither.step(noisy) == pytest.approx(1 / (2**bits - 1), abs=0.01)


def test_nothing_else_is_taken_for_it() -> None:
    flat, edges = (scene() * 7).round() / 7, (scene() > 0.5).float()
    board = torch.arange(128)
    checks = ((board[:, None] + board) % 2 / 7.0).expand(3, -1, -1)
    white = noise.add(scene(), "gaussian", 25, torch.Generator().manual_seed(0))
    for x in (flat, edges, checks, white, torch.zeros(3, 128, 128), scene()[:, :9, :9]):
        assert dither.step(stored(x)) == 0
