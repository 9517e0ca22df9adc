"""Outliers set nothing: not what is measured, not the range, not what is beside or far from them.

Any 1 % of the samples, of any value. Far away the result is that without them within a tenth of
sigma; beside them it is as quiet as elsewhere; they themselves come back as they were.
"""

from functools import cache, partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.nothing_destroyed import outliers
from tests.nothing_destroyed.outliers import KINDS, Scene
from tests.nothing_destroyed.pictures import examples
from tests.nothing_destroyed.routes import COLOUR, GRAY, as_tiff

SEEDS = st.sampled_from([1, 2, 3, 4])
BRIGHT = (3000.0, 12000.0, 20000.0, 65535.0)
NO_DATA = (0.0, 65535.0, 1e20, 3.4e38, -9999.0, np.nan, np.inf)
ROUTES = {name: GRAY[name] for name in ("array", "tiff", "tiff tiled", "zarr")}


@cache
def without(route: str, dtype: str, seed: int) -> np.ndarray:
    """The result of counts without outliers."""
    return ROUTES[route](outliers.counts("line", 0, dtype, seed).plain).pixels


def check(
    scene: Scene, after: np.ndarray, alone: np.ndarray, times: float = 1.7, away: float = 0.1
) -> None:
    """What holds far from outliers (`away`, in sigma) and beside them (`times` the usual error)."""
    rounding = 1.0 if scene.plain.dtype.kind in "iu" else 0.0
    far = scene.far(after, alone)
    assert far <= away + rounding / scene.sigma, f"{far:.2f} sigma far away"
    beside, usual = scene.beside(after, alone)
    assert beside <= times * usual, f"beside {beside:.2f}, usually {usual:.2f} sigma"


@pytest.mark.parametrize("kind", KINDS)
@examples(6)
@given(value=st.sampled_from(BRIGHT), dtype=st.sampled_from(["uint16", "float32"]), seed=SEEDS)
def test_bright_ones_in_counts(kind: str, value: float, dtype: str, seed: int) -> None:
    scene = outliers.counts(kind, value, dtype, seed)
    after = ROUTES["array"](scene.outliers).pixels
    check(scene, after, without("array", dtype, seed))
    moved = np.abs(after[scene.mask].astype(float) - value).max()
    assert moved <= (4 * scene.sigma if kind in ("singles", "clusters") else 0)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "singles"])
@examples(4)
@example(value=2272, dtype="float32", seed=3)
@given(value=st.integers(1000, 3000), dtype=st.sampled_from(["uint16", "float32"]), seed=SEEDS)
def test_a_little_above_the_range(kind: str, value: int, dtype: str, seed: int) -> None:
    """What could be light by its value, and is none by its form."""
    scene = outliers.counts(kind, value, dtype, seed)
    after = ROUTES["array"](scene.outliers).pixels
    beside, usual = scene.beside(after, without("array", dtype, seed))
    assert beside <= (6 if kind == "wedge" else 3) * usual
    assert scene.far(after, without("array", dtype, seed)) <= 0.4
    assert np.mean(after[scene.mask] != value) <= 0.15  # noise may have made some like light


@examples(6)
@given(value=st.sampled_from([-9999.0, -32768.0, -1e20]), seed=SEEDS)
def test_scattered_far_below_all_light(value: float, seed: int) -> None:
    """Single ones, of which a transform for photons would not tell how far below they are."""
    scene = outliers.counts("singles", value, "float32", seed)
    after = ROUTES["array"](scene.outliers).pixels
    np.testing.assert_array_equal(after[scene.mask], scene.outliers[scene.mask])
    check(scene, after, without("array", "float32", seed))


@pytest.mark.parametrize("kind", ["line", "wedge", "islands"])
@examples(8)
@given(data=st.data(), seed=SEEDS)
def test_no_data_in_floats(kind: str, data: st.DataObject, seed: int) -> None:
    # Zeros are near enough to the darkest cells to be one of them, but where they fill a wedge.
    value = data.draw(st.sampled_from(NO_DATA if kind == "wedge" else NO_DATA[1:]))
    scene = outliers.counts(kind, value, "float32", seed)
    after = ROUTES["array"](scene.outliers).pixels
    np.testing.assert_array_equal(after[scene.mask], scene.outliers[scene.mask])
    check(scene, after, without("array", "float32", seed))


@pytest.mark.parametrize("route", [name for name in ROUTES if name != "array"])
@examples(8)
@given(data=st.data(), kind=st.sampled_from(KINDS), seed=SEEDS)
def test_in_files(route: str, data: st.DataObject, kind: str, seed: int) -> None:
    dtype = data.draw(st.sampled_from(["uint16", "float32"]))
    value = data.draw(st.sampled_from(BRIGHT if dtype == "uint16" else (*BRIGHT, *NO_DATA[2:])))
    scene = outliers.counts(kind, value, dtype, seed)
    after = ROUTES[route](scene.outliers).pixels
    check(scene, after, without(route, dtype, seed))
    if kind not in ("singles", "clusters"):
        np.testing.assert_array_equal(after[scene.mask], scene.outliers[scene.mask])


@examples(6)
@given(
    value=st.sampled_from([-9999.0, 0.0, 300.0]),
    kind=st.sampled_from(["wedge", "islands", "singles"]),
    seed=SEEDS,
)
def test_gdal_no_data(value: float, kind: str, seed: int) -> None:
    """Tag 42113 names a value that is no data, be it one that measured samples have too."""
    scene = outliers.counts(kind, value, "float32", seed)
    tag = (42113, "s", 0, f"{value:g}", True)
    after = partial(as_tiff, extratags=[tag])(scene.outliers).pixels
    np.testing.assert_array_equal(after[scene.mask], scene.outliers[scene.mask])
    check(scene, after, without("tiff", "float32", seed))


@pytest.mark.parametrize("route", ["array", "tiff"])
@examples(4)
@given(seed=SEEDS)
def test_saturated_stars(route: str, seed: int) -> None:
    scene = outliers.starlight(seed)
    after, alone = (ROUTES[route](p).pixels for p in (scene.outliers, scene.plain))
    check(scene, after, alone, times=4)  # the slopes of stars are steep
    saturated = scene.outliers == 65535
    moved = np.abs(after[saturated].astype(float) - 65535)
    assert moved.max(initial=0) <= 4 * scene.sigma


PHOTOS = {"array": "float32", "png": "uint8", "tiff": "uint16", "tiff planar": "uint8"}


@cache
def photo_without(route: str, seed: int) -> np.ndarray:
    return COLOUR[route](outliers.photo("line", (0, 0, 0), PHOTOS[route], seed).plain).pixels


@pytest.mark.parametrize("route", PHOTOS)
@examples(8)
@given(
    kind=st.sampled_from([kind for kind in KINDS if kind != "singles"]),
    colour=st.sampled_from([(255, 255, 255), (0, 0, 0), (255, 210, 0)]),
    seed=SEEDS,
)
def test_in_photos(route: str, kind: str, colour: tuple[int, int, int], seed: int) -> None:
    """Letters and lines are part of a photo, and beside edges more noise is left: 3.3 times the
    usual in the middle of a text.
    """
    scene = outliers.photo(kind, colour, PHOTOS[route], seed)
    after = COLOUR[route](scene.outliers).pixels
    # Black, white and yellow are part of a picture in colour, and noise is read with them.
    check(scene, after, photo_without(route, seed), times=5, away=0.3)
    if kind in ("stamp", "scale bar", "wedge"):
        moved = after[scene.mask].astype(float) - scene.outliers[scene.mask]
        assert np.sqrt(np.mean(moved**2)) <= 3.5 * scene.sigma  # strokes of a pixel fade
    if kind == "wedge":  # flat, so that there is no noise, but for what is too thin to tell
        same = (after[scene.mask] == scene.outliers[scene.mask]).all(-1)
        assert same.mean() >= 0.9


@pytest.mark.parametrize("route", ["array", "tiff"])
@pytest.mark.parametrize("colour", [(400, 400, 400), (1000, 900, 500)])
def test_a_flat_area_brighter_than_white(route: str, colour: tuple[int, int, int]) -> None:
    """Of colours as floats, where it is too bright to be measured and not so far as an outlier."""
    scene = outliers.photo("wedge", colour, "float32", 3)
    after = COLOUR[route](scene.outliers).pixels
    same = (after[scene.mask] == scene.outliers[scene.mask]).all(-1)
    assert same.mean() >= 0.9


@pytest.mark.parametrize("route", PHOTOS)
@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0)])
@pytest.mark.parametrize("seed", [1, 2])
def test_dots_in_photos(route: str, colour: tuple[int, int, int], seed: int) -> None:
    """Salt and pepper of a photo is noise, and may go."""
    scene = outliers.photo("singles", colour, PHOTOS[route], seed)
    check(
        scene, COLOUR[route](scene.outliers).pixels, photo_without(route, seed), times=2, away=0.3
    )
