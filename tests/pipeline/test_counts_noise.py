"""What the small net reads of counted light, against what was put in."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from mdn.noise.synthesis.basic import jpeg
from mdn.pipeline.counts_noise import CountsNoise, read_counts
from mdn.training.patterns import KINDS

GAIN, OFFSET, READ = 2.0, 100.0, 3.0


def scene(seed: int = 0, size: int = 256) -> np.ndarray:
    """0..1: soft cells on the dark."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    light = np.full((size, size), 0.03)
    for row, column, wide in zip(
        *rng.uniform(0, size, (2, 14)), rng.uniform(8, 30, 14), strict=True
    ):
        light += rng.uniform(0.2, 1) * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * wide**2))
    return light / light.max()


def counted(photons: np.ndarray, seed: int = 1, gain: float = GAIN) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return gain * rng.poisson(photons) + OFFSET + READ * rng.standard_normal(photons.shape)


def read(values: np.ndarray) -> CountsNoise:
    return read_counts(values[None], np.ones((1, *values.shape), bool))


def error(reading: CountsNoise, brightness: float, variance: float, unit: float = 1.0) -> float:
    """Sigma that was read, over the true one, less 1."""
    found = reading.gain * brightness + reading.constant
    return math.sqrt(max(0.0, found) / (variance * unit**2)) - 1


@pytest.mark.parametrize("photons", [3, 30, 300, 3000])
def test_the_noise_is_read_at_every_brightness(photons: float) -> None:
    light = photons * scene()
    reading = read(np.rint(counted(light)))
    for level in np.percentile(light, [5, 50, 98]):
        wanted = GAIN**2 * level + READ**2
        assert abs(error(reading, GAIN * level + OFFSET, wanted)) < 0.25
    assert reading.counted > 0
    assert reading.blur == 0
    assert 0 < reading.spread < 0.3


@pytest.mark.parametrize(("unit", "pedestal"), [(1e-3, 0.0), (500.0, 0.0), (1.0, 30000.0)])
def test_the_unit_and_the_pedestal_change_nothing(unit: float, pedestal: float) -> None:
    values = counted(50 * scene())
    plain, other = read(values), read(unit * values + pedestal)
    assert other.gain == pytest.approx(unit * plain.gain, rel=0.02)
    for brightness in (110.0, 180.0):
        variance = plain.gain * brightness + plain.constant
        place = unit * brightness + pedestal
        assert error(other, place, variance, unit) == pytest.approx(0, abs=0.02)


def test_noise_that_no_brightness_changes_has_no_gain() -> None:
    rng = np.random.default_rng(3)
    reading = read(np.rint(1000 + 800 * scene() + 25 * rng.standard_normal((256, 256))))
    assert reading.gain == 0
    assert reading.constant**0.5 == pytest.approx(25, rel=0.15)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_noise_that_neighbours_share_is_spaced(width: int) -> None:
    noise = np.random.default_rng(width).standard_normal((256, 256))
    blurred = ndimage.uniform_filter(noise, width, mode="wrap")
    reading = read(np.rint(2000 + 300 * scene() + 60 * blurred / blurred.std()))
    assert reading.spacing >= width  # two, not quite a Gaussian, may be taken for three
    assert (reading.spacing == 1) == (width == 1)


def test_where_nothing_differs_from_pixel_to_pixel_there_is_no_noise() -> None:
    reading = read(np.linspace(0, 1, 128) * np.ones((128, 1)))
    assert (reading.gain, reading.constant) == (0, 0)
    assert reading.counted < 0


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=[kind.__name__ for kind in KINDS])
def test_what_is_drawn_was_not_counted(kind: int) -> None:
    """Whatever repeats, in any size, and as a JPEG."""
    generator = torch.Generator().manual_seed(kind)
    for size in (96, 256):
        plane = KINDS[kind](size, [0.3, 0.6, 0.2], generator).clamp(0, 1)
        picture = (plane if plane.ndim == 2 else plane.mean(0)).expand(3, -1, -1)
        for coded in (picture, jpeg(picture[None], 80)[0]):
            reading = read((255 * coded[0]).round().double().numpy())
            assert not reading.surely_counted
