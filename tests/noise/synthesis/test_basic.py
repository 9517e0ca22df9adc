"""Moments of the classical noises against theory."""

from __future__ import annotations

import math

import pytest
import torch

from mdn import noise
from mdn.noise.synthesis import basic
from tests.noise.synthesis.moments import COUNT, SIDE, assert_moments, flat, generator, ramp


@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_gaussian(sigma: float) -> None:
    x = flat(0.5)
    assert_moments(noise.add(x, "gaussian", sigma, generator()) - x, (sigma / 255) ** 2)


def test_gaussian_channels_are_independent_and_gray_ones_equal() -> None:
    x = flat(0.5)
    colour = noise.add(x, "gaussian", 25, generator()) - x
    correlation = torch.corrcoef(colour.flatten(1))
    assert float((correlation - torch.eye(3)).abs().max()) < 5 / SIDE
    gray = noise.add(x, "gaussian-gray", 25, generator()) - x
    assert torch.equal(gray[0], gray[1])
    assert torch.equal(gray[0], gray[2])
    assert_moments(gray[0], (25 / 255) ** 2)


def test_gaussian_takes_a_level_a_channel() -> None:
    x = flat(0.5)
    change = (
        noise.add(x, "gaussian", torch.tensor([5.0, 10.0, 40.0]).view(3, 1, 1), generator()) - x
    )
    for channel, sigma in zip(change, (5, 10, 40), strict=True):
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
    ],
)
def test_poisson_counts_distinct_values_on_the_grid_of_the_depth(
    x: torch.Tensor, distinct: int, scale: float
) -> None:
    assert basic.distinct_values(x) == distinct
    assert basic.poisson_scale(x) == scale


def test_poisson_scale_does_not_depend_on_the_float_rounding_of_a_picture() -> None:
    codes = torch.arange(65536, dtype=torch.float64)
    assert basic.distinct_values((codes / 65535).float().view(1, 256, 256)) == 65536


@pytest.mark.parametrize("kind", ["speckle", "speckle-normal"])
@pytest.mark.parametrize("value", [0.2, 0.8])
def test_speckle(kind: str, value: float) -> None:
    x = flat(value)
    assert_moments(noise.add(x, kind, 0.04, generator()) - x, 0.04 * value**2)


def test_uniform_speckle_is_bounded() -> None:
    change = noise.add(flat(1.0), "speckle", 0.04, generator()) - 1
    bound = math.sqrt(3 * 0.04)
    assert 0.99 * bound < float(change.abs().max()) <= bound * (1 + 1e-5)


def test_spatial_variance_is_a_ninth_up_to_the_border() -> None:
    x = flat(0.5)
    change = noise.add(x, "spatial", 60, generator()) - x
    # Sum of the squared autocorrelation (1, 2/3, 1/3 on either side) in two dimensions.
    assert_moments(change, (60 / 3 / 255) ** 2, independent=(19 / 9) ** 2 * 2)
    border = torch.cat([change[:, 0], change[:, -1], change[:, :, 0], change[:, :, -1]], 1)
    assert float(border.var()) == pytest.approx((20 / 255) ** 2, rel=0.2)


def test_spatial_correlates_within_a_channel_and_never_across() -> None:
    x = flat(0.5)
    change = noise.add(x, "spatial", 60, generator()) - x
    for lag, expected in ((1, 2 / 3), (2, 1 / 3), (3, 0)):
        pair = torch.stack([change[0, :, lag:].flatten(), change[0, :, :-lag].flatten()])
        assert float(torch.corrcoef(pair)[0, 1]) == pytest.approx(expected, abs=0.04)
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
