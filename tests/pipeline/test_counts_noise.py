"""What the small net reads of counted light, against what was put in; and the graph alone."""

import functools
import math

import numpy as np
import pytest
import torch
from scipy import ndimage

import mdn
from mdn.noise.synthesis.basic import jpeg
from mdn.pipeline.counts_graph import CountsGraph
from mdn.pipeline.counts_noise import CountsNoise, read_counts
from mdn.registry import export, store
from mdn.registry.model import load
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


def test_noise_that_no_brightness_changes_has_no_gain() -> None:
    rng = np.random.default_rng(3)
    reading = read(np.rint(1000 + 800 * scene() + 25 * rng.standard_normal((256, 256))))
    assert (reading.gain, reading.constant**0.5) == (0, pytest.approx(25, rel=0.15))


@pytest.mark.parametrize("width", [1, 2, 3])
def test_noise_that_neighbours_share_is_spaced(width: int) -> None:
    noise = np.random.default_rng(width).standard_normal((256, 256))
    blurred = ndimage.uniform_filter(noise, width, mode="wrap")
    reading = read(np.rint(2000 + 300 * scene() + 60 * blurred / blurred.std()))
    assert reading.spacing >= width  # two, not quite a Gaussian, may be taken for three
    assert (reading.spacing == 1) == (width == 1)


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


@functools.cache
def graph() -> CountsGraph:
    return CountsGraph(export.any_size(load(store.find("cells"), torch.device("cpu")))).eval()


def clean(picture: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return graph()(torch.from_numpy(picture.astype(np.float32))[None, None])[0, 0].numpy()


def deviation(difference: np.ndarray) -> float:
    return float(difference.astype(np.float64).std())


@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_it_gives_nearly_what_mdn_gives(blur: float) -> None:
    """Also where neighbours share their noise, and on sides that are no multiples of anything."""
    light = 60 * scene(size=240)[:227, :]
    noisy = ndimage.gaussian_filter(counted(light), blur).astype(np.float32)
    result, expected = clean(noisy), mdn.denoise(noisy, encoding="counts")
    removed = deviation(expected - noisy)
    assert deviation(result - expected) < 0.15 * removed
    truth = ndimage.gaussian_filter(2 * light + 100, blur)
    assert deviation(result - truth) < 0.5 * deviation(noisy - truth)


@pytest.mark.parametrize("value", [0.0, 1000.0])
def test_where_nothing_differs_nothing_changes(value: float) -> None:
    plain = np.full((192, 200), value, np.float32)
    assert np.array_equal(clean(plain), plain)
