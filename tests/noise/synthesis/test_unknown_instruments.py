"""Moments of noise from scanners, radars and electron microscopes against theory."""

from __future__ import annotations

import math

import pytest
import torch

from mdn import noise
from mdn.noise.synthesis import random_fields, unknown
from tests.noise.synthesis.moments import COUNT, SIDE, assert_moments, flat, generator


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
    assert_moments(noise.add(flat(0.6), "speckle-gamma", looks, generator()) - 0.6, 0.36 / looks)


def test_one_look_is_exponentially_distributed() -> None:
    y = noise.add(flat(0.6), "speckle-gamma", 1, generator())
    below = float((y < 0.6).float().mean())
    assert below == pytest.approx(1 - math.exp(-1), abs=5 * 0.5 / math.sqrt(COUNT))


@pytest.mark.parametrize("value", [0.2, 0.8])
def test_electrons_are_counted_then_blurred_and_lines_drift(value: float) -> None:
    dose = 30.0
    change = noise.add(flat(value), "electron", dose, generator()) - value
    spot = sum(tap * tap for tap in random_fields.gaussian_taps(unknown.DETECTOR_BLUR)) ** 2
    # Each line's own mean holds its drift (and hardly any shot noise): without it shot is left.
    lines = change.mean((0, 2), keepdim=True)
    shot = value / dose * spot
    assert_moments(change - lines, shot, independent=20)
    beside = (change - lines)[..., 1:] * (change - lines)[..., :-1]
    # A Gaussian of 0.7 pixels, sampled: 0.6 of the variance is shared with the next pixel.
    assert float(beside.mean()) / shot == pytest.approx(0.60, abs=0.03)


def test_the_drift_wanders_slowly_with_its_stated_deviation() -> None:
    x = torch.zeros(3, 20000, 2)  # no light: drift alone
    drift = noise.add(x, "electron", 100, generator())
    assert torch.equal(drift, drift[:1, :, :1].expand_as(drift))
    line = drift[0, :, 0]
    assert_moments(line, unknown.DRIFT**2 / 100, independent=20)
    next_line = torch.corrcoef(torch.stack([line[1:], line[:-1]]))[0, 1]
    assert float(next_line) == pytest.approx(unknown.DRIFT_MEMORY, abs=0.02)


def test_the_border_is_as_noisy_as_the_middle() -> None:
    source = generator()
    x = torch.full((40, 1, 64, 64), 0.8)
    change = noise.add(x, "electron", 30, source) - x
    edge, middle = change[..., :2, :].var(), change[..., 20 : SIDE // 6, :].var()
    assert float(edge / middle) == pytest.approx(1, abs=0.15)
