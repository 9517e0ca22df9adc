"""Noise and brightness: how strong it is at each pixel, and the curve that makes it even."""

import pytest
import torch

from mdn import noise
from mdn.noise.analysis.brightness import sigma_map, stabiliser

CURVES = {"poisson": (0.0005, 0.02, 0.0), "speckle": (0.001, 0.0, 0.03), "even": (0.01, 0.0, 0.0)}


@pytest.mark.parametrize("name", CURVES)
def test_noise_is_equally_strong_everywhere_after_it(name: str) -> None:
    offset, gain, square = CURVES[name]
    curve = stabiliser(offset, gain, square)
    generator = torch.Generator().manual_seed(0)
    for b in (0.2, 0.5, 0.8):
        deviation = (offset + gain * b + square * b * b) ** 0.5
        noisy = b + deviation * torch.randn(200_000, generator=generator)
        assert float(curve.forward(noisy).std()) == pytest.approx(curve.level, rel=0.08)


@pytest.mark.parametrize("name", CURVES)
def test_the_inverse_takes_the_mean_of_noisy_samples_back_to_the_clean_one(name: str) -> None:
    offset, gain, square = CURVES[name]
    curve = stabiliser(offset, gain, square)
    generator = torch.Generator().manual_seed(1)
    for b in (0.05, 0.3, 0.6, 0.95):
        deviation = (offset + gain * b + square * b * b) ** 0.5
        noisy = b + deviation * torch.randn(400_000, generator=generator)
        mean = curve.forward(noisy).mean()
        assert float(curve.inverse(mean)) == pytest.approx(b, abs=0.004)


def ramp() -> torch.Tensor:
    """(1, 3, 64, 256): black on the left, white on the right."""
    return torch.linspace(0, 1, 256).expand(1, 3, 64, 256)


@pytest.mark.parametrize(
    ("kind", "level", "curve"), [("speckle", 0.04, (0, 0, 0.04)), ("gaussian", 25, (0.0096, 0, 0))]
)
def test_it_is_as_strong_as_the_noise_there(kind: str, level: float, curve: tuple) -> None:
    added = noise.add(ramp(), kind, level, torch.Generator().manual_seed(0)) - ramp()
    told = sigma_map(ramp(), curve)
    assert told.shape == (1, 1, 64, 256)
    for left in (64, 128, 192):
        columns = slice(left, left + 32)
        assert float(told[..., columns].mean()) == pytest.approx(
            float(added[..., columns].std()), rel=0.05
        )
