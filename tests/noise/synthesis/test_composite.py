"""Noises made of several steps: their moments and their parts."""

import math

import pytest
import torch

from mdn import noise
from mdn.noise.synthesis import basic
from tests.noise.synthesis.moments import assert_moments, generator, ramp


@pytest.mark.parametrize("level", [1, 3, 5])
def test_mixture_has_the_published_parts(level: int) -> None:
    x = ramp()[..., 128:129].expand(3, 256, 256).clone()
    x[:, 0] = ramp()[:, 0]  # so that V is 256, as on a photo
    y = noise.add(x, "mixture", level, generator())[:, 8:]
    share = 0.002 * level
    ends = float(((y == 0) | (y == 1)).float().mean())
    assert ends == pytest.approx(share, abs=5 * (share / y.numel()) ** 0.5)
    value = 128 / 255
    rest = y[(y != 0) & (y != 1)] - value
    variance = (
        (0.004 + 0.002 * level) * value**2
        + (0.75 + 0.25 * level) ** 2 * value / 256
        + ((8 + 2 * level) / 255) ** 2
        + ((15 + 5 * level) / 3 / 255) ** 2
    )
    assert_moments(rest, variance, independent=2)


def test_jpeg_keeps_what_eight_bits_cannot_hold() -> None:
    """A flat picture survives the codec, so the fine part and the range must come through."""
    x = torch.full((1, 16, 16), 100 / 255) + 0.0007
    assert torch.allclose(basic.jpeg(x, 95), x, atol=1e-6)
    beyond = torch.full((3, 16, 16), 3.5)
    assert torch.allclose(basic.jpeg(beyond, 95), beyond, atol=2 / 255)


def fireflies_variance(samples: float) -> float:
    """Of the factor that a pixel is multiplied with."""
    mean = (basic.TAIL - 1) / basic.TAIL
    second = basic.TAIL * mean**2 / (basic.TAIL - 2)
    expected = samples * basic.HARD_CHANCE
    hard = second * (expected + expected**2) / expected**2 - 1
    return (1 - basic.HARD_LIGHT) ** 2 * basic.EASY_VARIANCE / samples + basic.HARD_LIGHT**2 * hard


def factors(samples: float, side: int = 1000) -> torch.Tensor:
    return noise.add(torch.ones(1, side, side), "fireflies", samples, generator())


@pytest.mark.parametrize("samples", [16, 256])
def test_fireflies_are_unbiased(samples: float) -> None:
    y = factors(samples)
    error = (fireflies_variance(samples) / y.numel()) ** 0.5
    assert float(y.mean()) == pytest.approx(1, abs=5 * error)
    # The fourth moment is infinite, so the variance itself is only known roughly.
    assert float(y.var()) == pytest.approx(fireflies_variance(samples), rel=0.25)


def test_firefly_share_and_tail_follow_their_distribution() -> None:
    samples = 16
    y = factors(samples)
    found = 1 - math.exp(-0.002 * samples)
    # One find is worth 0.1 / 0.032 times a Pareto variable, which is at least 0.6.
    unit = 0.1 / (0.002 * samples)
    far = float((y > 0.9 + unit * 6).float().mean())
    assert far == pytest.approx(found * (0.6 / 6) ** 2.5, rel=0.25)
    farther = float((y > 0.9 + unit * 12).float().mean())
    assert farther == pytest.approx(far / 2**2.5, rel=0.4)


def test_fireflies_carry_the_colour_of_what_they_light() -> None:
    x = torch.tensor([0.2, 0.4, 0.8]).view(3, 1, 1).expand(3, 64, 64)
    y = noise.add(x, "fireflies", 4, generator())
    assert torch.allclose(y[1], 2 * y[0], rtol=1e-5)
    assert torch.allclose(y[2], 4 * y[0], rtol=1e-5)
