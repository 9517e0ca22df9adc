"""Noises that no model is trained on: moments, spectra and shares against theory."""

import math

import pytest
import torch

from mdn import noise
from mdn.noise.synthesis import random_fields, unknown
from mdn.noise.synthesis.development import bayer_masks
from tests.noise.synthesis.moments import (
    COUNT,
    SIDE,
    assert_moments,
    change_of,
    flat,
    generator,
    neighbours,
)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.7])
def test_rician_has_the_moments_of_its_distribution(value: float) -> None:
    sigma = 30 / 255
    y = noise.add(flat(value), "rician", 30, generator())
    # The mean is sigma sqrt(pi / 2) L(-x^2 / 2 sigma^2), L the Laguerre polynomial of order 1/2.
    t = torch.tensor(value**2 / (4 * sigma**2))
    laguerre = (1 + 2 * t) * torch.special.i0e(t) + 2 * t * torch.special.i1e(t)
    mean = sigma * math.sqrt(math.pi / 2) * float(laguerre)
    assert float(y.min()) >= 0
    assert_moments(y - mean, value**2 + 2 * sigma**2 - mean**2)


@pytest.mark.parametrize("looks", [16, 4, 1])
def test_gamma_speckle_has_the_variance_of_its_looks(looks: float) -> None:
    change = change_of("speckle-gamma", looks, flat(0.6))
    assert_moments(change, 0.36 / looks)
    if looks == 1:  # exponentially distributed
        below = float((change < 0).float().mean())
        assert below == pytest.approx(1 - math.exp(-1), abs=5 * 0.5 / math.sqrt(COUNT))


@pytest.mark.parametrize("value", [0.2, 0.8])
def test_electrons_are_counted_then_blurred_and_lines_drift(value: float) -> None:
    dose = 30.0
    change = change_of("electron", dose, flat(value))
    spot = sum(tap * tap for tap in random_fields.gaussian_taps(unknown.DETECTOR_BLUR)) ** 2
    # The mean of a line holds its drift (and hardly any shot noise): without it shot is left.
    shot, rest = value / dose * spot, change - change.mean((0, 2), keepdim=True)
    assert_moments(rest, shot, independent=20)
    # A Gaussian of 0.7 pixels, sampled: 0.6 of the variance is shared with the next pixel.
    assert float((rest[..., 1:] * rest[..., :-1]).mean()) / shot == pytest.approx(0.60, abs=0.03)
    edge, middle = rest[..., :4, :].var(), rest[..., 20:240, :].var()
    assert float(edge / middle) == pytest.approx(1, abs=0.25)


def test_the_drift_wanders_slowly_with_its_stated_deviation() -> None:
    drift = noise.add(torch.zeros(3, 20000, 2), "electron", 100, generator())  # no light
    assert torch.equal(drift, drift[:1, :, :1].expand_as(drift))
    line = drift[:1, :, 0]
    assert_moments(line, unknown.DRIFT**2 / 100, independent=20)
    assert neighbours(line) == pytest.approx(unknown.DRIFT_MEMORY, abs=0.02)


@pytest.mark.parametrize(
    # Of |n| the median in units of sigma: b log 2 of Laplace, half the half width of uniform noise.
    ("kind", "fourth", "median"),
    [("laplace", 6.0, math.log(2) / math.sqrt(2)), ("uniform", 1.8, math.sqrt(3) / 2)],
)
def test_variance_and_tails(kind: str, fourth: float, median: float) -> None:
    change, sigma = change_of(kind, 25), 25 / 255
    assert_moments(change, sigma**2)
    kurtosis = float(change.pow(4).mean() / change.square().mean() ** 2)
    assert kurtosis == pytest.approx(fourth, rel=0.06)
    assert float(change.abs().median()) == pytest.approx(sigma * median, rel=0.02)
    if kind == "uniform":
        assert 0.999 < float(change.abs().max()) / (math.sqrt(3) * sigma) < 1.0001


def test_stripes_are_one_wave_and_white_noise_of_equal_variance() -> None:
    change = change_of("stripes", 25, torch.full((64, SIDE, SIDE), 0.5), seed=3)
    wave = change.mean(0)  # 64 channels share it; their white noise averages out
    half = (25 / 255) ** 2 / 2
    assert float(wave.var()) == pytest.approx(half, rel=0.05)
    assert float((change - wave).var()) == pytest.approx(half, rel=0.03)
    window = torch.hann_window(SIDE)
    power = torch.fft.rfft2(wave * window[:, None] * window).abs().square()
    row, column = divmod(int(power.argmax()), power.shape[1])
    period = SIDE / math.hypot(min(row, SIDE - row), column)
    assert unknown.SHORTEST * 0.95 <= period <= unknown.LONGEST * 1.05
    near = power.roll((-row + 2, -column + 2), (0, 1))[:5, :5].sum()
    assert float(near / power.sum()) > 0.9
    first, second = noise.add(torch.full((2, 3, 32, 32), 0.5), "stripes", 25, generator()).mean(1)
    assert not torch.allclose(first, second, atol=0.1)  # each picture has its own


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_blotches_are_coarse_and_coloured(channels: int) -> None:
    change = change_of("colour-blotches", 20, torch.full((channels, 768, 768), 0.5))
    assert_moments(change, (20 / 255) ** 2, independent=4 * math.pi * unknown.COLOUR_BLUR**2)
    expected = math.exp(-(4**2) / (4 * unknown.COLOUR_BLUR**2))
    assert neighbours(change, lag=4) == pytest.approx(expected, abs=0.05)
    if channels == 3:
        removed = unknown.COMMON_REMOVED * (2 - unknown.COMMON_REMOVED) / 3
        between = float(torch.corrcoef(change.flatten(1))[0, 1])
        assert between == pytest.approx(-removed / (1 - removed), abs=0.05)


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_impulse_blotches_cover_their_share_in_patches(share: float) -> None:
    y = noise.add(torch.full((3, 768, 768), 0.5), "impulse-blotches", share, generator())
    struck = (y == 0) | (y == 1)
    assert torch.equal(struck[0], struck[2])
    assert bool((struck | (y == 0.5)).all())
    assert float(struck.float().mean()) == pytest.approx(share, rel=0.15)
    assert float((y == 1).float().sum() / struck.sum()) == pytest.approx(0.5, abs=0.1)
    together = float(struck[0, :, 1:][struck[0, :, :-1]].float().mean())
    assert together > 0.4  # of single samples it would be the share


@pytest.mark.parametrize("value", [0.1, 0.5])
def test_mosaic_noise_is_in_the_cells_of_each_colour(value: float) -> None:
    change, cells = change_of("raw-mosaic", 40, flat(value)), bayer_masks(SIDE, SIDE).bool()
    assert not change[~cells].any()
    for channel, gain in enumerate(unknown.GAINS):
        variance = (40 / 255) ** 2 * (1.6 * gain * value + 0.2 * gain**2)
        assert_moments(change[channel][cells[channel]], variance)
    gray = change_of("raw-mosaic", 40, torch.full((1, SIDE, SIDE), value))[0]
    red, green, blue = (gray[cell].std() for cell in cells)
    assert red > blue > green > 0


@pytest.mark.parametrize("value", [0.02, 0.35, 0.5])
def test_dither_has_the_mean_and_the_variance_of_its_share(value: float) -> None:
    share = value * 7 % 1
    assert_moments(change_of("dither", 3, flat(value)), share * (1 - share) / 49)
