"""Stripes and blotches: variance, spectrum, correlation and share against theory."""

from __future__ import annotations

import math

import pytest
import torch

from mdn import noise
from mdn.noise.synthesis import unknown
from tests.noise.synthesis.moments import SIDE, assert_moments, flat, generator


def test_stripes_are_one_wave_and_white_noise_of_equal_variance() -> None:
    x = torch.full((64, SIDE, SIDE), 0.5)
    change = noise.add(x, "stripes", 25, generator(3)) - 0.5
    wave = change.mean(0)  # 64 channels share it; their white noise averages out
    sigma = 25 / 255
    assert float(wave.var()) == pytest.approx(sigma**2 / 2, rel=0.05)
    assert float((change - wave).var()) == pytest.approx(sigma**2 / 2, rel=0.03)
    window = torch.hann_window(SIDE)
    power = torch.fft.rfft2(wave * window[:, None] * window).abs().square()
    row, column = divmod(int(power.argmax()), power.shape[1])
    period = SIDE / math.hypot(min(row, SIDE - row), column)
    assert unknown.SHORTEST * 0.95 <= period <= unknown.LONGEST * 1.05
    near = power.roll((-row + 2, -column + 2), (0, 1))[:5, :5].sum()
    assert float(near / power.sum()) > 0.9


def test_every_picture_has_stripes_of_its_own() -> None:
    x = torch.full((2, 3, 32, 32), 0.5)
    first, second = noise.add(x, "stripes", 25, generator()).mean(1)
    assert not torch.allclose(first, second, atol=0.1)


def test_colour_blotches_are_coarse_and_coloured() -> None:
    change = noise.add(torch.full((3, 768, 768), 0.5), "colour-blotches", 20, generator()) - 0.5
    assert_moments(change, (20 / 255) ** 2, independent=4 * math.pi * unknown.COLOUR_BLUR**2)
    removed = unknown.COMMON_REMOVED * (2 - unknown.COMMON_REMOVED) / 3
    between = float(torch.corrcoef(change.flatten(1))[0, 1])
    assert between == pytest.approx(-removed / (1 - removed), abs=0.05)
    beside = torch.stack([change[..., 4:].flatten(), change[..., :-4].flatten()])
    expected = math.exp(-(4**2) / (4 * unknown.COLOUR_BLUR**2))
    assert float(torch.corrcoef(beside)[0, 1]) == pytest.approx(expected, abs=0.03)


def test_gray_pictures_get_blotches_of_full_strength() -> None:
    change = noise.add(torch.full((1, 768, 768), 0.5), "colour-blotches", 20, generator()) - 0.5
    assert_moments(change, (20 / 255) ** 2, independent=4 * math.pi * unknown.COLOUR_BLUR**2)


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_impulse_blotches_cover_their_share_in_patches(share: float) -> None:
    y = noise.add(torch.full((3, 768, 768), 0.5), "impulse-blotches", share, generator())
    struck = (y == 0) | (y == 1)
    assert torch.equal(struck[0], struck[2])
    assert bool((struck | (y == 0.5)).all())
    assert float(struck.float().mean()) == pytest.approx(share, rel=0.15)
    assert float((y == 1).float().sum() / struck.sum()) == pytest.approx(0.5, abs=0.1)
    hit = struck[0, :, :-1]
    together = float(struck[0, :, 1:][hit].float().mean())
    assert together > 0.4  # of single samples it would be the share


def test_no_blotches_at_level_zero() -> None:
    x = flat(0.3)
    assert torch.equal(noise.add(x, "impulse-blotches", 0, generator()), x)
