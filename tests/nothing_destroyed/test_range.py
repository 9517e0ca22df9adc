"""Finite in, finite out, and no sample leaves the range of its own neighbourhood.

The range is that of the 33 x 33 samples around, and 4 sigma of the noise on each side. What has no
noise may not leave it at all, but for rounding.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nothing_destroyed.pictures import (
    CONTENTS,
    COUNTS,
    SHAPES,
    VALUES,
    Picture,
    Values,
    escape,
    examples,
)
from tests.nothing_destroyed.routes import COLOUR, GRAY, STACKS, Route, as_array, takes

NOISE = st.sampled_from([0.0, 0.0, 0.02, 0.1])
SEEDS = st.integers(0, 999)


def check(picture: Picture, route: Route) -> None:
    """Takes a picture through a route."""
    before = picture.stored()
    after = route(before).pixels
    assert np.isfinite(after).all()
    for channel in range(max(1, picture.colours)):
        planes = (a if a.ndim == 2 else a[..., channel] for a in (after, before))
        beyond = escape(*planes, picture.sigma)
        assert beyond <= picture.values.step, f"{beyond:g} beyond, sigma {picture.sigma:g}"


def of(route: str, *, colour: bool) -> st.SearchStrategy[Values]:
    return st.sampled_from([v for v in VALUES if takes(route, v.dtype, colour=colour)])


@pytest.mark.parametrize("content", CONTENTS)
@examples(12)
@given(values=st.sampled_from(VALUES), noise=NOISE, shape=SHAPES, seed=SEEDS)
def test_an_array(
    content: str, values: Values, noise: float, shape: tuple[int, int], seed: int
) -> None:
    check(Picture(content, values, noise, shape, seed), as_array)


@pytest.mark.parametrize("route", [name for name in GRAY if name != "array"])
@examples(16)
@given(data=st.data(), content=st.sampled_from(list(CONTENTS)), noise=NOISE, shape=SHAPES)
def test_a_gray_file(
    route: str, data: st.DataObject, content: str, noise: float, shape: tuple[int, int]
) -> None:
    values = data.draw(of(route, colour=False))
    check(Picture(content, values, noise, shape, data.draw(SEEDS)), GRAY[route])


@pytest.mark.parametrize("route", COLOUR)
@examples(14)
@given(data=st.data(), content=st.sampled_from(list(CONTENTS)), noise=NOISE, shape=SHAPES)
def test_in_colour(
    route: str, data: st.DataObject, content: str, noise: float, shape: tuple[int, int]
) -> None:
    values = data.draw(of(route, colour=True))
    check(Picture(content, values, noise, shape, data.draw(SEEDS), colours=3), COLOUR[route])


@pytest.mark.parametrize("route", STACKS)
@examples(8)
@given(
    shape=st.sampled_from([(6, 1, 128), (2, 64, 64), (3, 2, 2), (2, 128, 1), (4, 1, 1)]),
    values=st.sampled_from([COUNTS, Values("float32", 0, 1), Values("uint16", 0, 51000)]),
    content=st.sampled_from(["cells", "ramp", "blurred", "stars"]),
    noise=NOISE,
)
def test_a_stack(
    route: str, shape: tuple[int, int, int], values: Values, content: str, noise: float
) -> None:
    planes = [Picture(content, values, noise, shape[1:], seed) for seed in range(shape[0])]
    before = np.stack([plane.stored() for plane in planes])
    after = STACKS[route](before).pixels
    assert np.isfinite(after).all()
    for plane, result, source in zip(planes, after, before, strict=True):
        assert escape(result, source, plane.sigma) <= values.step


@pytest.mark.parametrize("shape", [(1, 256), (256, 1), (2, 2), (1, 1), (2, 128), (1, 224)])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_line_scans_are_not_wiped(shape: tuple[int, int], dtype: str) -> None:
    picture = Picture("cells", Values(dtype, 120, 620), 0.06, shape, seed=3)
    before = picture.stored()
    after = as_array(before).pixels
    error = np.sqrt(np.mean((after - picture.truth()) ** 2))
    assert error <= 1.2 * np.sqrt(np.mean((before - picture.truth()) ** 2))
