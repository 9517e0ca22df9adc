"""What is no picture stays: labels, masks, few values, maps of probability; and a line says so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from tests.nothing_destroyed.pictures import cells, examples, few_values
from tests.nothing_destroyed.routes import GRAY, STACKS, Result, takes

WHOLE = ("uint8", "uint16", "int16", "int32", "uint32")
SEEDS = st.integers(0, 999)
SHAPES = st.tuples(st.integers(48, 104), st.integers(48, 104))


def check(before: np.ndarray, result: Result) -> None:
    differ = int(np.sum(before != result.pixels))
    assert not differ, f"{differ} of {before.size} samples changed: {result.lines}"
    if result.facts:
        assert result.says_unchanged, result.facts
        assert any("unchanged" in line for line in result.lines), result.lines


def labels(shape: tuple[int, int], seed: int, number: int, *, fine: bool) -> np.ndarray:
    """Cells that are numbered, on a ground of 0; fine: with ragged borders, as of a threshold."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[: shape[0], : shape[1]]
    result = np.zeros(shape, int)
    for label in range(1, number + 1):
        y, x, size = random.uniform(0, shape[0]), random.uniform(0, shape[1]), random.uniform(3, 12)
        ragged = random.normal(0, 0.7, shape) if fine else 0
        result[np.hypot(down - y, across - x) + ragged < size] = label
    return result


@pytest.mark.parametrize("route", GRAY)
@examples(8)
@given(data=st.data(), seed=SEEDS, shape=SHAPES, fine=st.booleans())
def test_labels(
    route: str, data: st.DataObject, seed: int, shape: tuple[int, int], fine: bool
) -> None:
    dtype = data.draw(st.sampled_from([d for d in WHOLE if takes(route, d, colour=False)]))
    number = data.draw(st.sampled_from([3, 22, 120]))
    before = labels(shape, seed, number, fine=fine).astype(dtype)
    check(before, GRAY[route](before))


@pytest.mark.parametrize("route", GRAY)
@examples(7)
@given(data=st.data(), seed=SEEDS, shape=SHAPES, fine=st.booleans())
def test_masks(
    route: str, data: st.DataObject, seed: int, shape: tuple[int, int], fine: bool
) -> None:
    kinds = [d for d in (*WHOLE, "float32") if takes(route, d, colour=False)]
    dtype = data.draw(st.sampled_from(kinds))
    value = data.draw(st.sampled_from([1, 2, 255, 30000]))
    mask = labels(shape, seed, 20, fine=fine) > 0
    before = (mask * (min(value, 255) if dtype == "uint8" else value)).astype(dtype)
    check(before, GRAY[route](before))


@pytest.mark.parametrize("route", GRAY)
@examples(7)
@given(data=st.data(), seed=SEEDS, shape=SHAPES, number=st.integers(2, 24))
def test_areas_of_few_values(
    route: str, data: st.DataObject, seed: int, shape: tuple[int, int], number: int
) -> None:
    kinds = [d for d in (*WHOLE, "float32") if takes(route, d, colour=False)]
    dtype = data.draw(st.sampled_from(kinds))
    areas = few_values(shape, np.random.default_rng(seed), number)
    before = (areas * (1 if dtype == "float32" else 200)).round(3).astype(dtype)
    check(before, GRAY[route](before))


@pytest.mark.parametrize("route", ["array", "tiff", "tiff tiled", "zarr"])
@examples(8)
@given(
    seed=SEEDS,
    shape=SHAPES,
    blur=st.sampled_from([0.0, 1.0, 1.5, 2.5, 4.0]),
    dtype=st.sampled_from(["float32", "float64"]),
    fine=st.booleans(),
)
def test_maps_of_probability(
    route: str, seed: int, shape: tuple[int, int], blur: float, dtype: str, fine: bool
) -> None:
    mask = labels(shape, seed, 20, fine=fine) > 0
    before = ndimage.gaussian_filter(mask.astype(float), blur) if blur else mask.astype(float)
    before = before.astype(dtype)
    check(before, GRAY[route](before))


@pytest.mark.parametrize("route", STACKS)
@examples(6)
@given(seed=SEEDS, dtype=st.sampled_from(["uint16", "int32", "uint8"]))
def test_a_stack_of_labels(route: str, seed: int, dtype: str) -> None:
    volume = np.stack([labels((72, 80), seed + z, 15, fine=False) for z in range(3)])
    before = volume.astype(dtype)
    check(before, STACKS[route](before))


def test_cells_with_noise_are_a_picture() -> None:
    """The reverse: whole numbers with noise, few as they are, are denoised."""
    random = np.random.default_rng(0)
    truth = 4 + 12 * cells((128, 128), random)
    before = random.poisson(truth).astype(np.uint16)
    after = GRAY["tiff"](before).pixels
    error, noise = (float(np.sqrt(np.mean((p - truth) ** 2))) for p in (after, before))
    assert error < 0.6 * noise
