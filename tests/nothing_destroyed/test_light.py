"""Light is kept: the mean of the result is that of the input within its own uncertainty."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nothing_destroyed.pictures import CONTENTS, Picture, Values, examples
from tests.nothing_destroyed.routes import COLOUR, GRAY, STACKS, as_array

PHOTONS = (0.05, 0.1, 0.3, 0.7, 1.5, 5.0, 20.0, 100.0, 1000.0)
SCENES = st.sampled_from(["constant", "cells", "leaves", "ramp", "stars"])
SEEDS = st.integers(0, 999)
SIDES = st.integers(64, 128)


def poisson(
    content: str, photons: float, shape: tuple[int, ...], seed: int
) -> tuple[np.ndarray, float]:
    """(..., H, W) of photons, and the standard error of their mean."""
    random = np.random.default_rng(seed)
    truth = 0.1 + CONTENTS[content](shape[-2:], random)
    truth = np.broadcast_to(truth * photons / truth.mean(), shape)
    return random.poisson(truth).astype(float), float(np.sqrt(truth.sum())) / truth.size


def drift(after: np.ndarray, before: np.ndarray) -> float:
    return abs(float(after.astype(float).mean() - before.astype(float).mean()))


@pytest.mark.parametrize("photons", PHOTONS)
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
@examples(5)
@given(content=SCENES, seed=SEEDS, height=SIDES, width=SIDES)
def test_photons_as_an_array(
    photons: float, dtype: str, content: str, seed: int, height: int, width: int
) -> None:
    counts, error = poisson(content, photons, (height, width), seed)
    before = counts.astype(dtype)
    assert drift(as_array(before).pixels, before) <= 4 * error


@pytest.mark.parametrize("route", ["tiff", "tiff tiled", "zarr"])
@examples(10)
@given(
    photons=st.sampled_from(PHOTONS),
    gain=st.sampled_from([1.0, 2.2, 50.0]),
    offset=st.sampled_from([0.0, 100.0, 1000.0]),
    dtype=st.sampled_from(["float32", "uint16"]),
    content=SCENES,
    seed=SEEDS,
)
def test_photons_with_gain_and_offset(
    route: str, photons: float, gain: float, offset: float, dtype: str, content: str, seed: int
) -> None:
    counts, error = poisson(content, photons, (96, 112), seed)
    values = offset + gain * counts
    before = (
        values.round().clip(0, 65535).astype(dtype) if dtype == "uint16" else values.astype("f4")
    )
    assert drift(GRAY[route](before).pixels, before) <= 4 * gain * error


@pytest.mark.parametrize("route", STACKS)
@examples(4)
@given(photons=st.sampled_from(PHOTONS), content=SCENES, seed=SEEDS)
def test_each_plane_of_a_stack(route: str, photons: float, content: str, seed: int) -> None:
    before, _ = poisson(content, photons, (3, 80, 96), seed)
    before = before.astype("f4")
    after = STACKS[route](before).pixels
    for plane, source in zip(after, before, strict=True):
        error = np.sqrt(photons / source.size)
        assert drift(plane, source) <= 4 * error


@pytest.mark.parametrize("route", COLOUR)
@examples(6)
@given(
    values=st.sampled_from([Values("uint8", 20, 230), Values("uint16", 8000, 50000)]),
    noise=st.sampled_from([0.03, 0.1]),
    content=SCENES,
    seed=SEEDS,
)
def test_a_photo(route: str, values: Values, noise: float, content: str, seed: int) -> None:
    """Where noise is nowhere clipped. Half a level goes to rounding, where areas are even."""
    inner = Values(values.dtype, values.low + 0.3 * values.high, 0.75 * values.high)
    picture = Picture(content, inner, noise, (96, 96), seed, colours=3)
    before = picture.stored()
    error = picture.sigma / np.sqrt(before.size)
    assert drift(COLOUR[route](before).pixels, before) <= 4 * error + 0.5
