"""A word is true: what is said to be removed is removed, and `--sigma S` removes noise of S."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nothing_destroyed.pictures import Picture, Values, examples, rms
from tests.nothing_destroyed.routes import COLOUR, GRAY, Result, as_jpeg

SIDE = 128


def denies(result: Result) -> bool:
    """Whether a line says that nothing was removed, or not."""
    return any(
        re.search(r"unchanged|nothing|\bnot\b[^;,:]*\bremoved|no noise", line)
        for line in result.lines
    )


def claims(result: Result) -> bool:
    """Whether a line says that noise was removed."""
    said = "; ".join(result.lines)
    return bool(re.search(r"\bremoved\b", said)) and not denies(result)


def weave(seed: int, period: float, contrast: float) -> np.ndarray:
    """(H, W) of 0..255: threads over and under one another, a texture without an even place."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[:SIDE, :SIDE] / period * 2 * np.pi
    phase = random.uniform(0, 6, 2)
    return 120 + contrast * (np.sin(down + phase[0]) * np.sin(across + phase[1]))


@pytest.mark.parametrize("route", ["png", "tiff", "tiff tiled", "jpeg"])
@examples(6)
@given(
    sigma=st.sampled_from([8.0, 15.0, 25.0]),
    period=st.sampled_from([2.5, 3.0, 4.0, 6.0]),
    contrast=st.sampled_from([20.0, 45.0]),
    colour=st.booleans(),
    seed=st.integers(0, 99),
)
def test_sigma_on_a_weave(
    route: str, sigma: float, period: float, contrast: float, colour: bool, seed: int
) -> None:
    truth = weave(seed, period, contrast)
    truth = np.stack([truth, 0.9 * truth, 0.8 * truth], -1) if colour else truth
    noisy = truth + np.random.default_rng(seed).normal(0, sigma, truth.shape)
    before = noisy.round().clip(0, 255).astype(np.uint8)
    result = ({"jpeg": as_jpeg} | (COLOUR if colour else GRAY))[route](
        before, "--sigma", f"{sigma:g}"
    )
    change = rms(result.pixels - before.astype(float))
    if route == "jpeg" and result.same_bytes:
        change = 0.0
    assert change >= sigma / 2 or denies(result), f"changed by {change:.2f}: {result.lines}"


@pytest.mark.parametrize("route", ["array", "png", "tiff"])
@pytest.mark.parametrize("sigma", [6.0, 20.0])
def test_sigma_on_photos(route: str, sigma: float) -> None:
    """It removes what is there, where that is plain."""
    picture = Picture("leaves", Values("uint8", 50, 200), sigma / 150, (SIDE, SIDE), 3, colours=3)
    options = {"sigma": sigma} if route == "array" else {}
    words = () if route == "array" else ("--sigma", f"{sigma:g}")
    after = COLOUR[route](picture.stored(), *words, **options).pixels
    assert rms(after - picture.truth()) <= 0.6 * rms(picture.stored() - picture.truth())


@pytest.mark.parametrize("route", ["png", "tiff", "tiff tiled", "tiff planar"])
@examples(6)
@given(
    content=st.sampled_from(
        ["constant", "leaves", "cells", "ramp", "checkerboard", "stars", "stamp"]
    ),
    noise=st.sampled_from([0.0, 0.03, 0.1]),
    seed=st.integers(0, 99),
)
def test_removed_in_colour(route: str, content: str, noise: float, seed: int) -> None:
    """At least half of the noise that a line names is gone; `noise.sigma` is its figure."""
    picture = Picture(content, Values("uint8", 40, 215), noise, (SIDE, SIDE), seed, colours=3)
    before = picture.stored()
    result = COLOUR[route](before)
    change = rms(result.pixels - before.astype(float))
    if claims(result):
        named = re.search(r"(?:sigma|noise) (\d+(?:\.\d+)?)", "; ".join(result.lines))
        assert change > 0
        assert named is None or change >= 0.5 * float(named[1]), (change, result.lines)
    if picture.sigma and not denies(result):
        assert change >= 0.5 * picture.sigma, (change, result.lines)


@pytest.mark.parametrize("route", ["tiff", "tiff tiled", "zarr"])
@examples(6)
@given(
    content=st.sampled_from(
        ["constant", "leaves", "cells", "ramp", "checkerboard", "stars", "stamp"]
    ),
    values=st.sampled_from([Values("uint16", 120, 620), Values("float32", 0, 1)]),
    noise=st.sampled_from([0.0, 0.03, 0.1]),
    seed=st.integers(0, 99),
)
def test_removed_from_counts(
    route: str, content: str, values: Values, noise: float, seed: int
) -> None:
    picture = Picture(content, values, noise, (SIDE, SIDE), seed)
    before = picture.stored()
    result = GRAY[route](before)
    change = rms(result.pixels.astype(float) - before)
    named = re.search(r"noise (\d[\d.e+-]*): removed", "; ".join(result.lines))
    if named:
        assert change >= 0.5 * float(named[1]), (change, result.lines)
    if claims(result):
        assert change > 0
