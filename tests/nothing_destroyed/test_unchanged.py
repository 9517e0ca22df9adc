"""What is called unchanged has the same samples, bit for bit; a file, where it can be, is copied.

The reverse holds as well: a result of the same samples is called unchanged.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nothing_destroyed.pictures import CONTENTS, VALUES, Picture, Values, examples
from tests.nothing_destroyed.routes import COLOUR, GRAY, STACKS, Result, Route, as_jpeg, takes

FILES = [name for name in GRAY if name != "array"]
NOISE = st.sampled_from([0.0, 0.0, 0.0, 0.05])
SHAPES = st.tuples(st.integers(48, 112), st.integers(48, 112))


def check(before: np.ndarray, result: Result) -> None:
    """What is said of a result is true."""
    same = before.tobytes() == result.pixels.tobytes()
    assert result.says_unchanged == same, (
        result.lines,
        f"{np.sum(before != result.pixels)} differ",
    )
    named = "changed" in result.facts
    assert not named or result.facts["changed"] is not same
    assert same == any("unchanged" in line for line in result.lines), result.lines


def draw(data: st.DataObject, route: str, content: str, *, colours: int) -> Picture:
    fitting = [v for v in VALUES if takes(route, v.dtype, colour=bool(colours))]
    values = data.draw(st.sampled_from(fitting))
    noise, shape = data.draw(NOISE), data.draw(SHAPES)
    return Picture(content, values, noise, shape, data.draw(st.integers(0, 999)), colours)


@pytest.mark.parametrize("route", FILES)
@examples(10)
@given(data=st.data(), content=st.sampled_from(list(CONTENTS)))
def test_gray(route: str, data: st.DataObject, content: str) -> None:
    before = draw(data, route, content, colours=0).stored()
    check(before, GRAY[route](before))


@pytest.mark.parametrize("route", [name for name in COLOUR if name != "array"])
@examples(10)
@given(data=st.data(), content=st.sampled_from(list(CONTENTS)))
def test_in_colour(route: str, data: st.DataObject, content: str) -> None:
    before = draw(data, route, content, colours=3).stored()
    check(before, COLOUR[route](before))


@pytest.mark.parametrize("route", ["png", "jpeg", "tiff", "tiff planar", "tiff tiled"])
@pytest.mark.parametrize("content", ["constant", "few values", "ramp"])
def test_a_copy_where_there_is_no_noise(route: str, content: str) -> None:
    picture = Picture(content, Values("uint8", 20, 230), 0, (80, 96), seed=4, colours=3)
    result = (COLOUR | {"jpeg": as_jpeg})[route](picture.stored())
    assert result.says_unchanged, result.lines
    assert result.same_bytes


@examples(10)
@given(content=st.sampled_from(list(CONTENTS)), noise=NOISE, colour=st.booleans(), shape=SHAPES)
def test_a_jpeg_is_not_coded_again(
    content: str, noise: float, colour: bool, shape: tuple[int, int]
) -> None:
    picture = Picture(content, Values("uint8", 20, 230), noise, shape, 1, 3 if colour else 0)
    result = as_jpeg(picture.stored())
    assert result.says_unchanged == result.same_bytes, result.lines


@pytest.mark.parametrize("route", [name for name in STACKS if name != "array"])
@examples(6)
@given(content=st.sampled_from(["constant", "ramp", "blurred", "cells"]), noise=NOISE)
def test_a_stack(route: str, content: str, noise: float) -> None:
    values = Values("float32", 0, 1)
    planes = [Picture(content, values, noise, (64, 72), seed).stored() for seed in range(3)]
    before = np.stack(planes)
    check(before, STACKS[route](before))


@pytest.mark.parametrize("values", VALUES, ids=lambda v: f"{v.dtype}-{v.low:g}-{v.high:g}")
@pytest.mark.parametrize("sigma", [2.0, 4.0])
def test_smooth_data_is_not_scaled(values: Values, sigma: float) -> None:
    """After a blur there is no noise: what a net makes of it must be next to the same."""
    from scipy import ndimage

    noise = np.random.default_rng(5).normal(size=(96, 96))
    smooth = ndimage.gaussian_filter(noise, sigma, mode="wrap")
    pixels = (smooth - smooth.min()) / np.ptp(smooth)
    before = values.store(pixels)
    route: Route = GRAY["array"]
    after = route(before).pixels
    error = np.abs(after.astype(float) - before).max()
    assert error <= max(values.step, 0.03 * (values.high - values.low))
