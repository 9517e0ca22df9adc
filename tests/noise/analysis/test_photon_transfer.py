"""Gain and read noise from pictures of the same thing."""

from itertools import pairwise

import numpy as np
import pytest

from mdn.noise.analysis.photon_transfer import is_still, photon_transfer

GAIN, OFFSET, READ = 2.0, 100.0, 3.0


def counted(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = GAIN * rng.poisson(light) + OFFSET + READ * rng.standard_normal(light.shape)
    return np.rint(noisy).astype(np.uint16)


def scene(shift: int = 0) -> np.ndarray:
    y, x = np.mgrid[:192, :192]
    return 5 + 200 * np.exp(-(((y - 96) / 30) ** 2 + ((x - 80 - shift) / 30) ** 2))


@pytest.mark.parametrize("fading", [1.0, 0.97])
def test_a_series_of_the_same_thing_gives_gain_and_read_noise(fading: float) -> None:
    rng = np.random.default_rng(0)
    pattern = 1 + 0.02 * rng.standard_normal((192, 192))  # which is no noise, but of every frame
    frames = [counted(scene() * pattern * fading**k, rng) for k in range(6)]
    assert is_still(frames)
    curve = photon_transfer(list(pairwise(frames)))
    assert curve.gain == pytest.approx(GAIN, rel=0.04)
    assert curve.read_noise(OFFSET) == pytest.approx(READ, rel=0.2)


def test_a_spot_that_flashes_in_one_frame_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    frames = [counted(scene(), rng) for _ in range(6)]
    frames[2][40:60, 100:130] += 900
    curve = photon_transfer(list(pairwise(frames)))
    assert curve.gain == pytest.approx(GAIN, rel=0.06)


def test_what_moves_is_not_still() -> None:
    rng = np.random.default_rng(2)
    assert not is_still([counted(scene(5 * k), rng) for k in range(4)])


def test_one_brightness_has_no_slope() -> None:
    rng = np.random.default_rng(3)
    even = np.full((192, 192), 50.0)
    assert photon_transfer([(counted(even, rng), counted(even, rng))]) is None
