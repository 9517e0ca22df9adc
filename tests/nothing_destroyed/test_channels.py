"""Equal channels stay equal, hidden colour stays hidden, and associated alpha is no colour."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nothing_destroyed.pictures import Picture, Values, examples, rms
from tests.nothing_destroyed.routes import COLOUR, as_jpeg, as_tiff, takes

PHOTO = (Values("uint8", 20, 230), Values("uint16", 5000, 60000), Values("float32", 0, 1))
SCENES = st.sampled_from(["leaves", "cells", "ramp"])
NOISE = st.sampled_from([0.02, 0.08, 0.15])
SHAPES = st.tuples(st.integers(64, 112), st.integers(64, 112))
SEEDS = st.integers(0, 999)
LAYOUTS = {"contiguous": {}, "planar": {"planarconfig": "separate"}, "tiled": {"tile": (32, 48)}}


def photo(data: st.DataObject, route: str, *, colours: int = 3) -> tuple[Picture, np.ndarray]:
    fitting = [v for v in PHOTO if takes(route, v.dtype, colour=True)]
    values, content, noise = (data.draw(s) for s in (st.sampled_from(fitting), SCENES, NOISE))
    picture = Picture(content, values, noise, data.draw(SHAPES), data.draw(SEEDS), colours)
    return picture, picture.stored()


def opacity(shape: tuple[int, int], seed: int) -> np.ndarray:
    """(H, W) in 0..1: an opaque middle, a soft border of at least a quarter, and nothing around."""
    down, across = np.mgrid[: shape[0], : shape[1]]
    middle = np.array(shape) / 2 + np.random.default_rng(seed).uniform(-8, 8, 2)
    distance = np.hypot(down - middle[0], across - middle[1])
    alpha = (1.6 - distance / (0.3 * min(shape))).clip(0, 1)
    return np.where(alpha < 0.25, 0, alpha)


@pytest.mark.parametrize("route", [*COLOUR, "jpeg"])
@examples(8)
@given(data=st.data())
def test_gray_in_rgb(route: str, data: st.DataObject) -> None:
    take = (COLOUR | {"jpeg": as_jpeg})[route]
    if route == "jpeg":
        picture = Picture("leaves", PHOTO[0], data.draw(NOISE), data.draw(SHAPES), data.draw(SEEDS))
        gray = picture.stored()
    else:
        _, gray = photo(data, route, colours=0)
    after = take(np.repeat(gray[..., None], 3, -1)).pixels
    apart = np.ptp(after.astype(float), axis=-1).max()
    assert apart == 0, f"channels differ by {apart:g}"


@pytest.mark.parametrize("route", COLOUR)
@examples(8)
@given(data=st.data())
def test_hidden_colour_and_alpha_stay(route: str, data: st.DataObject) -> None:
    """Unassociated alpha: what nobody sees stays bit for bit, and so does alpha."""
    picture, colour = photo(data, route)
    alpha = opacity(picture.shape, picture.seed)
    white = 1.0 if colour.dtype.kind == "f" else np.iinfo(colour.dtype).max
    before = np.dstack([colour, (alpha * white).astype(colour.dtype)])
    after = COLOUR[route](before).pixels
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
    np.testing.assert_array_equal(after[alpha == 0], before[alpha == 0])


@pytest.mark.parametrize("layout", LAYOUTS)
@examples(9)
@given(data=st.data())
def test_associated_alpha(layout: str, data: st.DataObject) -> None:
    """No colour where alpha is 0; elsewhere what the file with unassociated alpha gives."""
    picture, colour = photo(data, "tiff")
    kind = colour.dtype
    white = 1.0 if kind.kind == "f" else float(np.iinfo(kind).max)
    alpha = (opacity(picture.shape, picture.seed) * white).astype(kind)
    share = alpha[..., None] / white
    round_it = (
        (lambda x: x.astype(kind)) if kind.kind == "f" else (lambda x: x.round().astype(kind))
    )
    premultiplied = np.dstack([round_it(colour * share), alpha])
    hidden = np.where(share > 0, colour, 0).astype(kind)
    associated = partial(as_tiff, alpha="assocalpha", **LAYOUTS[layout])(premultiplied).pixels
    plain = partial(as_tiff, alpha="unassalpha", **LAYOUTS[layout])(
        np.dstack([hidden, alpha])
    ).pixels
    np.testing.assert_array_equal(associated[..., 3], alpha)
    assert not associated[alpha == 0][:, :3].any(), "colour where alpha is 0"
    # Rounding of what was multiplied is noise of a third of a step, and more where alpha is small.
    step = picture.sigma / 300 if kind.kind == "f" else 1.5 + picture.sigma / 100
    difference = associated[..., :3] - plain[..., :3] * share
    assert rms(difference[alpha > 0]) <= step
