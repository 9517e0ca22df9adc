"""Moments of the classical noises, of sensors and of film against theory."""

import math

import pytest
import torch

from mdn import noise
from mdn.noise.synthesis import basic
from tests.noise.synthesis.moments import (
    COUNT,
    SIDE,
    assert_moments,
    change_of,
    flat,
    generator,
    neighbours,
    ramp,
)


def test_gaussian_channels_are_independent_and_gray_ones_equal() -> None:
    for sigma in (15, 25, 50):
        change = change_of("gaussian", sigma)
        assert_moments(change, (sigma / 255) ** 2)
        correlation = torch.corrcoef(change.flatten(1))
        assert float((correlation - torch.eye(3)).abs().max()) < 5 / SIDE
    gray = change_of("gaussian-gray", 25)
    assert torch.equal(gray, gray[:1].expand_as(gray))
    assert_moments(gray[0], (25 / 255) ** 2)
    own = change_of("gaussian", torch.tensor([5.0, 10.0, 40.0]).view(3, 1, 1))
    for channel, sigma in zip(own, (5, 10, 40), strict=True):
        assert_moments(channel, (sigma / 255) ** 2)


@pytest.mark.parametrize("alpha", [1, 2, 3.5])
def test_poisson_mean_and_variance_follow_the_brightness(alpha: float) -> None:
    x = ramp()
    draws = torch.stack([noise.add(x, "poisson", alpha, generator(seed)) for seed in range(8)])
    for column in (16, 64, 128, 255):
        value = column / 255
        assert_moments(draws[..., column] - value, alpha**2 * value / 256)
    assert not bool(draws[..., 0].any())


@pytest.mark.parametrize(
    ("x", "distinct", "scale"),
    [
        (torch.zeros(3, 4, 4), 1, 1),
        (torch.tensor([[[0.0, 1.0, 1.0]]]), 2, 2),
        (torch.arange(5).view(1, 1, 5) / 255, 5, 8),
        (ramp(), 256, 256),
        (torch.arange(3000).view(1, 50, 60) / 65535, 3000, 4096),
        (torch.rand(3, 200, 200, generator=torch.Generator().manual_seed(1)), 256, 256),
        # Not by the float rounding of 16-bit values.
        ((torch.arange(65536).double() / 65535).float().view(1, 256, 256), 65536, 65536),
    ],
)
def test_poisson_counts_distinct_values_on_the_grid_of_the_depth(
    x: torch.Tensor, distinct: int, scale: float
) -> None:
    assert (basic.distinct_values(x), basic.poisson_scale(x)) == (distinct, scale)


@pytest.mark.parametrize("kind", ["speckle", "speckle-normal"])
def test_speckle(kind: str) -> None:
    for value in (0.2, 0.8):
        assert_moments(change_of(kind, 0.04, flat(value)), 0.04 * value**2)
    if kind == "speckle":
        bound = math.sqrt(3 * 0.04)
        largest = float(change_of(kind, 0.04, flat(1.0)).abs().max())
        assert 0.99 * bound < largest <= bound * (1 + 1e-5)


def test_spatial_variance_is_a_ninth_up_to_the_border_and_channels_are_independent() -> None:
    change = change_of("spatial", 60)
    # Sum of the squared autocorrelation (1, 2/3, 1/3 on either side) in two dimensions.
    assert_moments(change, (60 / 3 / 255) ** 2, independent=(19 / 9) ** 2 * 2)
    border = torch.cat([change[:, 0], change[:, -1], change[:, :, 0], change[:, :, -1]], 1)
    assert float(border.var()) == pytest.approx((20 / 255) ** 2, rel=0.2)
    for lag, expected in ((1, 2 / 3), (2, 1 / 3), (3, 0)):
        assert neighbours(change, lag) == pytest.approx(expected, abs=0.04)
    across = torch.corrcoef(change.flatten(1)) - torch.eye(3)
    assert float(across.abs().max()) < 0.05


def test_salt_and_pepper_strikes_samples_in_equal_parts() -> None:
    share = 0.02
    y = noise.add(flat(0.5), "salt-pepper", share, generator())
    error = 5 * math.sqrt(share / 2 / COUNT)
    assert float((y == 0).float().mean()) == pytest.approx(share / 2, abs=error)
    assert float((y == 1).float().mean()) == pytest.approx(share / 2, abs=error)
    assert float((y == 0.5).float().mean()) == pytest.approx(1 - share, abs=2 * error)
    # Samples, not pixels: hardly ever are all channels of a pixel hit together.
    struck = (y != 0.5).float().mean(0)
    assert float((struck == 1).float().mean()) < 10 * share**3 + 1e-3


@pytest.mark.parametrize("photons", [30, 300])
def test_poisson_gaussian_variance_is_shot_plus_read_plus_rounding(photons: float) -> None:
    extra = basic.READ_NOISE**2 + 1 / (12 * basic.GAIN**2)
    for value in (0.1, 0.9):
        variance = value / photons + extra / photons**2
        assert_moments(change_of("poisson-gaussian", photons, flat(value)), variance)


def test_a_sensor_clips_at_its_converter_and_rounds_to_its_units() -> None:
    per_white = 30000.0 * basic.GAIN
    y = noise.add(flat(1.1), "poisson-gaussian", 30000.0, generator())
    assert float(y.max()) == pytest.approx((65535 - basic.OFFSET) / per_white)
    dark = noise.add(flat(0.01), "poisson-gaussian", 30000.0, generator()) * per_white
    assert torch.allclose(dark, dark.round(), atol=1e-2)


@pytest.mark.parametrize(("kind", "axis"), [("banding-rows", 2), ("banding-columns", 1)])
def test_banding_is_constant_along_its_lines(kind: str, axis: int) -> None:
    change = change_of(kind, 10, torch.full((3, 4000, 3) if axis == 2 else (3, 3, 4000), 0.5))
    lines = change.select(axis, 0)
    assert torch.equal(change, lines.unsqueeze(axis).expand_as(change))
    assert torch.equal(lines[0], lines[2])
    assert_moments(lines[0], (10 / 255) ** 2)


@pytest.mark.parametrize("value", [0.0, 0.2, 0.5, 1.0])
def test_grain_is_strongest_in_the_mid_tones(value: float) -> None:
    change = change_of("grain", 20, flat(value))
    variance = (20 / 255) ** 2 * (0.1 + 0.9 * 4 * value * (1 - value))
    assert_moments(change, variance, independent=30)
    correlation = torch.corrcoef(change.flatten(1))
    assert float(correlation[0, 1]) == pytest.approx(0.8, abs=0.03)
    # A Gaussian of 0.8 pixels has the autocorrelation exp(-1 / (4 * 0.8^2)) at lag 1.
    assert neighbours(change) == pytest.approx(0.677, abs=0.03)
