"""Brightness that wanders from line to line is told from a picture's own rows, and taken out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mdn import noise
from mdn.noise.analysis import banding, drift

SIDE = 192
ROWS, COLUMNS = torch.arange(SIDE)[:, None].float(), torch.arange(SIDE)[None].float()


def steps(x: Tensor) -> Tensor:
    return torch.stack([banding.steps(strip, apart=False)[0] for strip in x.split(32, 2)])


def scene() -> Tensor:
    shade = 0.45 + 0.1 * torch.sin(COLUMNS / 17) * torch.cos(ROWS / 11)
    return (shade + 0.1 * (COLUMNS > ROWS)).expand(3, -1, -1)


def noisy(x: Tensor, kind: str, level: float) -> Tensor:
    return noise.add(x.contiguous(), kind, level, torch.Generator().manual_seed(3)).clamp(0, 1)


def test_drift_of_an_electron_microscope_is_measured() -> None:
    dark = torch.zeros(3, SIDE, SIDE)  # no electrons: what is left is the drift
    true = noise.add(dark, "electron", 30, torch.Generator().manual_seed(3))[0, :, 0]
    found = drift.offsets(steps(scene() + true[:, None]))
    assert found is not None
    assert float((found - true).std()) < 0.75 * float(true.std())
    assert drift.offsets(steps(noisy(scene(), "electron", 30))) is not None


@pytest.mark.parametrize("kind", ["clean", "gaussian", "spatial", "stripes", "speckle"])
def test_other_noise_does_not_drift(kind: str) -> None:
    level = 0.04 if kind == "speckle" else 25
    x = scene() if kind == "clean" else noisy(scene(), kind, level)
    assert drift.offsets(steps(x)) is None


@pytest.mark.parametrize("period", [3.3, 5.0, 12.0, 40.0])
@pytest.mark.parametrize("angle", [0, 2, 90])
def test_gratings_and_bars_are_pictures(period: float, angle: int) -> None:
    across = ROWS * math.cos(math.radians(angle)) + COLUMNS * math.sin(math.radians(angle))
    wave = torch.sin(2 * math.pi * across / period)
    for x in (0.5 + 0.3 * wave, 0.5 + 0.2 * wave.sign()):
        assert drift.offsets(steps(noisy(x.expand(3, -1, -1), "gaussian", 15))) is None


def test_known_drift_is_measured_where_it_would_not_be_believed() -> None:
    faint = scene() + 0.003 * torch.randn(SIDE, 1, generator=torch.Generator().manual_seed(0))
    assert drift.offsets(steps(faint)) is None
    assert drift.offsets(steps(faint), known=True) is not None
    assert drift.offsets(steps(faint)[:, :20], known=True) is None
