"""How data is stored does not matter: the same numbers in other clothes give the same result."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from scipy import ndimage

from tests.nothing_destroyed.pictures import cells, leaves, rms, stars
from tests.nothing_destroyed.routes import Route, as_array, as_png, as_tiff, as_zarr

SHAPE = 128, 160
SIGMA = 14.0  # of 255, of photos


class Storage(NamedTuple):
    """A way to store whole numbers of 0..255."""

    route: Route
    dtype: str
    scale: float = 1
    offset: float = 0


STORED = {
    "uint8 PNG": Storage(as_png, "uint8"),
    "uint8 TIFF": Storage(as_tiff, "uint8"),
    "uint8 Zarr": Storage(as_zarr, "uint8"),
    "uint8 array": Storage(as_array, "uint8"),
    "uint16 TIFF": Storage(as_tiff, "uint16"),
    "uint16 PNG": Storage(as_png, "uint16"),
    "uint16 PNG x 257": Storage(as_png, "uint16", 257),
    "uint16 x 16": Storage(as_tiff, "uint16", 16),
    "uint16 x 257": Storage(as_tiff, "uint16", 257),
    "uint16 + 100": Storage(as_tiff, "uint16", 1, 100),
    "uint16 + 30000": Storage(as_array, "uint16", 1, 30000),
    "int16 - 128": Storage(as_tiff, "int16", 1, -128),
    "int32 x 1000": Storage(as_tiff, "int32", 1000),
    "float of 0..1": Storage(as_tiff, "float32", 1 / 255),
    "float of 0..1e-9": Storage(as_array, "float32", 1e-9 / 255),
    "float array": Storage(as_array, "float32"),
    "float64 x 1e6": Storage(as_tiff, "float64", 1e6),
}


Noisy = tuple[np.ndarray, np.ndarray]  # (H, W) truth, and whole numbers of 0..255 with noise


def photons(light: np.ndarray, most: float, random: np.random.Generator) -> Noisy:
    """Light of 0..1 as a camera counts it: so many photons where it is 1, which 200 stand for."""
    gain = 200 / most
    noisy = 8 + gain * random.poisson(light * most) + random.normal(0, 2, SHAPE)
    return 8 + 200 * light, noisy.round().clip(0, 255)


def photograph(random: np.random.Generator) -> Noisy:
    """A gray photo with even noise."""
    truth = 40 + 170 * leaves(SHAPE, random)
    return truth, (truth + random.normal(0, SIGMA, SHAPE)).round().clip(0, 255)


SUBJECTS: dict[str, Callable[[np.random.Generator], Noisy]] = {
    "fluorescence": lambda random: photons(cells(SHAPE, random, number=16), 40, random),
    "few photons": lambda random: photons(0.05 + 0.9 * stars(SHAPE, random), 5, random),
    "photograph": photograph,
}


@cache
def picture(subject: str) -> Noisy:
    return SUBJECTS[subject](np.random.default_rng(7))


@cache
def result(subject: str, storage: str) -> np.ndarray:
    """What comes back, on the scale of the whole numbers."""
    kind = STORED[storage]
    stored = (picture(subject)[1] * kind.scale + kind.offset).astype(kind.dtype)
    return (kind.route(stored).pixels.astype(float) - kind.offset) / kind.scale


@pytest.mark.parametrize("storage", [name for name in STORED if name != "float array"])
@pytest.mark.parametrize("subject", SUBJECTS)
def test_gray(subject: str, storage: str) -> None:
    """Within .15 sigma and half a step, which rounding takes where whole numbers are stored."""
    truth, noisy = picture(subject)
    sigma = rms(noisy - truth)
    step = 1 / STORED[storage].scale if np.dtype(STORED[storage].dtype).kind in "iu" else 0
    apart = rms(result(subject, storage) - result(subject, "float array"))
    assert apart <= 0.15 * sigma + 0.5 * step, f"{apart / sigma:.2f} sigma apart"


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_noise_is_removed(subject: str, storage: str) -> None:
    """However it is stored; more than half of it, and in no storage much less than in another."""
    truth, noisy = picture(subject)
    left = rms(result(subject, storage) - truth)
    best = min(rms(result(subject, name) - truth) for name in ("uint8 PNG", "float array"))
    assert left <= 0.5 * rms(noisy - truth)
    assert left <= 1.05 * best + 0.1, f"{left:.2f} left, where {best:.2f} is to be had"


def test_a_textured_photograph_loses_nothing() -> None:
    """Gray of 8 bits that no microscope saw: `photo` leaves 5.4 levels of noise of 13.9."""
    random = np.random.default_rng(9)
    fine = ndimage.gaussian_filter(random.normal(size=SHAPE), 1.5, mode="wrap")
    truth = 40 + 150 * leaves(SHAPE, random) + 12 * fine / fine.std()
    noisy = (truth + random.normal(0, SIGMA, SHAPE)).round().clip(0, 255)
    after = as_png(noisy.astype(np.uint8)).pixels
    assert rms(after - truth) <= 5.5


COLOURS = {
    "uint16 x 257": Storage(as_tiff, "uint16", 257),
    "uint8 PNG": Storage(as_png, "uint8"),
    "uint8 array": Storage(as_array, "uint8"),
    "float of 0..1": Storage(as_tiff, "float32", 1 / 255),
    "float of 0..255": Storage(as_tiff, "float32"),
    "float of 0..65535": Storage(as_array, "float32", 257),
}


@pytest.mark.parametrize("negatives", [False, True])
@pytest.mark.parametrize("storage", COLOURS)
def test_colour(storage: str, negatives: bool) -> None:
    """Also with noise below 0, which floats can hold; the others are cut off there."""
    kind = COLOURS[storage]
    whole = np.dtype(kind.dtype).kind == "u"
    if negatives and whole:
        pytest.skip("whole numbers are not negative")
    random = np.random.default_rng(8)
    low = 4 if negatives else 50
    truth = low + 150 * np.stack([leaves(SHAPE, random)] * 3, -1) * [1, 0.9, 0.7]
    noisy = (truth + random.normal(0, SIGMA, truth.shape)).round().clip(-255 * negatives, 255)
    after = kind.route((noisy * kind.scale).astype(kind.dtype)).pixels / kind.scale
    alone = as_array((noisy / 255).astype("f4")).pixels * 255
    assert rms(after - alone) <= 0.15 * SIGMA + (0.5 / kind.scale if whole else 0)
    assert rms(after - truth) <= 0.5 * rms(noisy - truth)


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (16, 0), (1, 100), (257, 0)])
def test_colours_of_8_bits_within_16(scale: int, offset: int) -> None:
    """As 12 bits within 16: how much of the dtype is used says nothing of the noise."""
    random = np.random.default_rng(3)
    gray = leaves(SHAPE, random)
    truth = 40 + 170 * np.stack([gray, 0.9 * gray, 0.8 * gray + 0.1], -1)
    noisy = (truth + random.normal(0, SIGMA, truth.shape)).round().clip(0, 255)
    plain = as_array(noisy.astype(np.uint8)).pixels.astype(float)
    stored = (noisy * scale + offset).astype(np.uint16)
    after = (as_tiff(stored).pixels.astype(float) - offset) / scale
    assert rms(after - truth) <= 1.05 * rms(plain - truth)
