"""Speckle of few looks and Rician noise: what they are, and what they did to the mean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mdn import noise
from mdn.zeroshot import distributions, speckle


def steps() -> Tensor:
    return torch.linspace(0.1, 0.9, 128).expand(3, 128, -1)


@pytest.mark.parametrize("level", [1.0, 4.0, 16.0])
def test_looks_are_counted_and_the_mean_given_back(level: float) -> None:
    clean = steps()
    noisy = noise.add(clean, "speckle-gamma", level, torch.Generator().manual_seed(0)).clamp(0, 1)
    seen = distributions.gamma_mean(clean, level)  # what a perfect denoiser makes of it
    found = speckle.find(noisy, seen)
    assert found is not None
    assert found.amount == pytest.approx(level, rel=0.25)
    curve = speckle.curve(found, noisy, seen, seen)
    error, before = (curve.corrected(seen) - clean).abs().mean(), (seen - clean).abs().mean()
    assert float(error) < 0.01
    assert float(error) < 0.5 * float(before)


@pytest.mark.parametrize(("kind", "level"), [("gaussian", 25), ("poisson", 2), ("speckle", 0.04)])
def test_other_noise_shifts_nothing(kind: str, level: float) -> None:
    noisy = noise.add(steps(), kind, level, torch.Generator().manual_seed(0)).clamp(0, 1)
    assert speckle.find(noisy, steps()) is None
    assert speckle.find(steps()[:, :9, :9], steps()[:, :9, :9]) is None


def test_the_mean_of_cut_samples() -> None:
    for mean in (0.2, 0.8):
        drawn = noise.add(
            torch.full((1, 400, 400), mean), "speckle-gamma", 2.0, torch.Generator().manual_seed(0)
        )
        made = float(distributions.gamma_mean(torch.tensor(mean), 2.0))
        assert made == pytest.approx(float(drawn.clamp(max=1).mean()), abs=3e-3)


def test_rician_noise_is_found_and_its_brightness_taken_back() -> None:
    clean = torch.linspace(0.0, 0.9, 192).expand(3, 192, -1)
    noisy = noise.add(clean, "rician", 25.0, torch.Generator().manual_seed(0)).clamp(0, 1)
    seen = distributions.rician_mean(clean, 25 / 255)
    found = speckle.find(noisy, seen)
    assert found is not None
    assert found.family.name == "rician"
    assert 255 * found.amount == pytest.approx(25, rel=0.15)
    curve = speckle.curve(found, noisy, seen, seen)
    error, before = (curve.corrected(seen) - clean).abs().mean(), (seen - clean).abs().mean()
    assert float(error) < 0.5 * float(before)


@pytest.mark.parametrize(("x", "sigma"), [(0.0, 0.1), (0.05, 0.1), (0.3, 0.02), (0.8, 0.2)])
def test_rician_distribution_and_mean(x: float, sigma: float) -> None:
    parts = sigma * torch.randn(2, 100_000, generator=torch.Generator().manual_seed(0))
    drawn = torch.hypot(x + parts[0], parts[1])
    assert float(distributions.rician_mean(torch.tensor(x), sigma)) == pytest.approx(
        float(drawn.mean()), abs=2e-3
    )
    limits = torch.linspace(0.04, 0.96, 24)
    shares = (drawn[:, None] < limits).float().mean(0)
    assert (
        float(
            (distributions.rician_below(limits, torch.tensor([[x]]), sigma)[0] - shares).abs().max()
        )
        < 0.01
    )
