"""Speckle of few looks, and the mean that white takes from it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mdn import noise
from mdn.noise.analysis import looks


def steps() -> Tensor:
    return torch.linspace(0.1, 0.9, 128).expand(3, 128, -1)


@pytest.mark.parametrize("level", [1.0, 4.0, 16.0])
def test_looks_are_counted_and_the_mean_given_back(level: float) -> None:
    clean = steps()
    noisy = noise.add(clean, "speckle-gamma", level, torch.Generator().manual_seed(0)).clamp(0, 1)
    seen = looks.clipped_mean(clean, level)  # what a perfect denoiser makes of it
    found = looks.find(noisy, seen)
    assert found is not None
    assert found.looks == pytest.approx(level, rel=0.25)
    error, before = (found.curve.corrected(seen) - clean).abs().mean(), (seen - clean).abs().mean()
    assert float(error) < 0.01
    assert float(error) < 0.5 * float(before)


@pytest.mark.parametrize(("kind", "level"), [("gaussian", 25), ("poisson", 2), ("speckle", 0.04)])
def test_other_noise_is_no_speckle_of_looks(kind: str, level: float) -> None:
    noisy = noise.add(steps(), kind, level, torch.Generator().manual_seed(0)).clamp(0, 1)
    assert looks.find(noisy, steps()) is None
    assert looks.find(steps()[:, :9, :9], steps()[:, :9, :9]) is None


def test_the_mean_of_cut_samples() -> None:
    for mean in (0.2, 0.8):
        drawn = noise.add(
            torch.full((1, 400, 400), mean), "speckle-gamma", 2.0, torch.Generator().manual_seed(0)
        )
        made = float(looks.clipped_mean(torch.tensor(mean), 2.0))
        assert made == pytest.approx(float(drawn.clamp(max=1).mean()), abs=3e-3)
