"""Flat areas are kept by the pixel, and noise is measured outside them: no blocks, no seams.

A noisy photo within a page, a border or a screenshot comes back as it would alone.
"""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from tests.nothing_destroyed.pictures import Picture, Values, examples, leaves, rms
from tests.nothing_destroyed.routes import COLOUR, GRAY, STACKS, takes

PHOTO = 128, 160
PAGE = 208, 256
SIGMA = 20.0  # of 255
SEEDS = st.sampled_from([1, 2, 3])
SURROUNDS = ("page", "gray page", "border", "letterbox", "screenshot")


def scale(dtype: str) -> float:
    return {"uint8": 1.0, "uint16": 257.0, "float32": 1 / 255}[dtype]


@cache
def photo(dtype: str, seed: int, colours: int) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) or (h, w, 3): truth in stored values, and the same with noise, as stored."""
    random = np.random.default_rng(seed)
    gray = 50 + 140 * leaves(PHOTO, random)
    truth = gray if not colours else np.stack([gray, 0.9 * gray, 0.8 * gray + 20], -1)
    noisy = truth + random.normal(0, SIGMA, truth.shape)
    return truth * scale(dtype), Values(dtype, 0, scale(dtype)).store(noisy.clip(0, 255))


@cache
def by_itself(route: str, dtype: str, seed: int, colours: int) -> np.ndarray:
    """What comes back of the photo without anything around it."""
    return (COLOUR if colours else GRAY)[route](photo(dtype, seed, colours)[1]).pixels


def around(
    kind: str, dtype: str, colours: int, top: int, left: int
) -> tuple[np.ndarray, slice, slice]:
    """What the photo is put in, without it; and its rows and columns in there."""
    if kind == "border":
        shape, top, left = (PHOTO[0] + 24, PHOTO[1] + 24), 12, 12
    elif kind == "letterbox":
        shape, left = (PAGE[0], PHOTO[1]), 0
    else:
        shape = PAGE
    value = {"gray page": 200, "border": 0, "letterbox": 0}.get(kind, 255)
    image = Image.new("RGB", shape[::-1], (value, value, value))
    if kind == "screenshot":
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, shape[1], 22), fill=(60, 60, 70))
        draw.text((6, 5), "Untitled - File Edit View", fill=(240, 240, 240))
        for row in range(30, shape[0], 13):
            draw.text((4, row), "The quick brown fox jumps over the lazy dog, and " * 2,
                      fill=(0, 0, 0), font=ImageFont.load_default(10))  # fmt: skip
    page = np.asarray(image.convert("RGB") if colours else image.convert("L"))
    stored = Values(dtype, 0, scale(dtype)).store(page.astype(float))
    return stored, slice(top, top + PHOTO[0]), slice(left, left + PHOTO[1])


def flat(page: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels of squares of 4 x 4 that lie outside the photo and are of one value."""
    planes = page.reshape(*outside.shape, -1)
    windows = np.lib.stride_tricks.sliding_window_view(planes, (4, 4), (0, 1))
    one = (windows == windows[..., :1, :1]).all((2, 3, 4))
    one &= np.lib.stride_tricks.sliding_window_view(outside, (4, 4)).all((2, 3))
    result = np.zeros(outside.shape, bool)
    for y, x in np.ndindex(4, 4):
        result[y : y + one.shape[0], x : x + one.shape[1]] |= one
    return result


def check(
    route: str, kind: str, dtype: str, colours: int, seed: int, place: tuple[int, int]
) -> None:
    routes = COLOUR if colours else GRAY
    truth, noisy = photo(dtype, seed, colours)
    page, rows, columns = around(kind, dtype, colours, *place)
    before = page.copy()
    before[rows, columns] = noisy
    after = routes[route](before).pixels
    alone = by_itself(route, dtype, seed, colours)
    outside = np.ones(before.shape[:2], bool)
    outside[rows, columns] = False
    assert rms(alone - truth) < 0.6 * rms(noisy - truth), "not even alone is anything removed"
    problems = []
    changes = (after != before).reshape(*outside.shape, -1).any(-1)
    even = flat(before, outside)
    # Lettering that touches the photo is told from noise by what lies around it, but for a few.
    lettered = kind == "screenshot"
    if (differ := int(np.sum(changes & even))) > (0.003 * even.sum() if lettered else 0):
        problems.append(f"{differ} of {even.sum()} flat pixels around changed")
    # Letters are no flat area, but they have no noise either.
    around_it = rms((after.astype(float) - before)[outside]) / (SIGMA * scale(dtype))
    if around_it > (0.3 if lettered else 0.1):
        problems.append(f"what is around changed by {around_it:.2f} sigma")
    error, control = after[rows, columns] - truth, alone - truth
    loss = 20 * np.log10(rms(error) / rms(control))
    if loss > (3.0 if lettered else 0.9):
        problems.append(f"the photo is {loss:.2f} dB worse than alone")
    seams = np.zeros(outside.shape, bool)
    for shift in (-1, 0):
        seams[32 + shift :: 32] = seams[:, 32 + shift :: 32] = True
    seams = seams[rows, columns]
    # Alone the same pixels are no seams: what their content costs is not counted.
    ratio, usual = (rms(e[seams]) / rms(e[~seams]) for e in (error, control))
    if ratio > 1.1 * usual:
        problems.append(f"at multiples of 32 the error is {ratio / usual:.2f} of what it is alone")
    assert not problems, "; ".join(problems)


TOPS, LEFTS = st.integers(24, 78), st.integers(8, 94)


@pytest.mark.parametrize("kind", SURROUNDS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@examples(2)
@given(seed=SEEDS, top=TOPS, left=LEFTS)
def test_an_array(dtype: str, kind: str, seed: int, top: int, left: int) -> None:
    check("array", kind, dtype, 3, seed, (top, left))


@pytest.mark.parametrize("route", [name for name in COLOUR if name != "array"])
@examples(3)
@given(data=st.data(), kind=st.sampled_from(SURROUNDS), seed=SEEDS, top=TOPS, left=LEFTS)
def test_in_colour(
    route: str, data: st.DataObject, kind: str, seed: int, top: int, left: int
) -> None:
    kinds = [d for d in ("uint8", "uint16", "float32") if takes(route, d, colour=True)]
    check(route, kind, data.draw(st.sampled_from(kinds)), 3, seed, (top, left))


@pytest.mark.parametrize("route", GRAY)
@examples(3)
@given(data=st.data(), kind=st.sampled_from(SURROUNDS), seed=SEEDS, top=TOPS, left=LEFTS)
def test_gray(route: str, data: st.DataObject, kind: str, seed: int, top: int, left: int) -> None:
    kinds = [d for d in ("uint8", "uint16", "float32") if takes(route, d, colour=False)]
    check(route, kind, data.draw(st.sampled_from(kinds)), 0, seed, (top, left))


@pytest.mark.parametrize("route", STACKS)
@examples(6)
@given(
    value=st.sampled_from([0, 100, 4000]),
    place=st.integers(0, 2),
    dtype=st.sampled_from(["uint16", "float32"]),
    seed=st.integers(0, 99),
)
def test_a_constant_plane_of_a_stack(
    route: str, value: int, place: int, dtype: str, seed: int
) -> None:
    values = Values(dtype, 120, 620)
    planes = [Picture("cells", values, 0.06, (72, 88), seed + z).stored() for z in range(3)]
    planes[place][:] = value
    before = np.stack(planes)
    after = STACKS[route](before).pixels
    np.testing.assert_array_equal(after[place], before[place])
    assert (after != before).any(), "noise is removed from the other planes"


@pytest.mark.parametrize("route", STACKS)
@examples(4)
@given(dtype=st.sampled_from(["uint16", "float32"]), seed=st.integers(0, 99))
def test_padding_of_planes(route: str, dtype: str, seed: int) -> None:
    """Rotated and registered stacks have corners of one value."""
    values = Values(dtype, 120, 620)
    down, across = np.mgrid[:80, :96]
    before = np.stack(
        [Picture("cells", values, 0.06, (80, 96), seed + z).stored() for z in range(3)]
    )
    corner = np.stack([down + across < 20 + 8 * z for z in range(3)])
    before[corner] = 0
    after = STACKS[route](before).pixels
    np.testing.assert_array_equal(after[corner], 0)
    truth = np.stack([Picture("cells", values, 0.06, (80, 96), seed + z).truth() for z in range(3)])
    assert rms((after - truth)[~corner]) <= 0.5 * rms((before - truth)[~corner])
