"""Sine waves over a whole picture: found, told from texture, and taken out."""

from __future__ import annotations

import torch
from torch import Tensor

from mdn.noise.analysis.banding import Banding
from mdn.noise.analysis.waves import Wave
from mdn.zeroshot import stripes

WAVE = Wave((0.11, 0.07), (0.05, 0.05, 0.05), (0.02, 0.02, 0.02))
ROWS, COLUMNS = torch.arange(160), torch.arange(192)


def shaded(sigma: float = 0.05) -> Tensor:
    across = torch.linspace(0, 5, 192).expand(160, -1)
    down = torch.linspace(0, 4, 160)[:, None]
    shade = 0.5 + 0.2 * torch.sin(across) * torch.cos(down)
    generator = torch.Generator().manual_seed(0)
    return shade + sigma * torch.randn(3, 160, 192, generator=generator)


def test_a_wave_is_found_and_taken_out() -> None:
    clean = shaded()
    found = stripes.find(clean + WAVE.at(ROWS, COLUMNS))
    assert found is not None
    rest = Banding(waves=(found,)).removed(clean + WAVE.at(ROWS, COLUMNS), ROWS, COLUMNS) - clean
    assert float(rest.std()) < 0.1 * WAVE.sigma
    assert abs(found.period - WAVE.period) < 0.01


def test_noise_and_a_grating_in_one_half_are_no_wave() -> None:
    assert stripes.find(shaded()) is None
    half = WAVE.at(ROWS, COLUMNS)
    half[:, :, 96:] = 0
    assert stripes.find(shaded() + half) is None
    assert stripes.find(torch.full((3, 160, 192), 0.5)) is None
    assert stripes.find(torch.zeros(1, 20, 20)) is None


def test_a_wave_counts_from_where_it_is_told() -> None:
    part = WAVE.at(torch.arange(7, 20), torch.arange(30, 50))
    own = Wave(WAVE.frequency, WAVE.cosine, WAVE.sine)
    shifted = WAVE.moved(-7, -30)  # the same wave, told from (7, 30)
    assert torch.allclose(shifted.at(torch.arange(13), torch.arange(20)), part, atol=1e-5)
    assert torch.allclose(shifted.moved(7, 30).at(ROWS, COLUMNS), own.at(ROWS, COLUMNS), atol=1e-5)
