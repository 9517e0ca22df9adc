"""Linear light of any range comes back from its encoding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdn.encoding import Hdr, Srgb, exposure

LIGHT = st.floats(-65504, 65504, width=32)


@given(st.lists(LIGHT, min_size=1, max_size=50), st.floats(1e-3, 1e3))
def test_hdr_comes_back(values: list[float], factor: float) -> None:
    light = np.array(values, np.float32)
    coding = Hdr(factor)
    back = coding.decode(coding.encode(light))
    np.testing.assert_allclose(back, light, rtol=3e-5, atol=1e-6 / factor)
    assert back.dtype == np.float32


def test_every_half_value_comes_back_bit_for_bit() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves) & ((halves == 0) | (np.abs(halves) > 1e-4))]
    coding = Hdr(0.7)
    back = coding.decode(coding.encode(halves.astype(np.float32))).astype(np.float16)
    assert np.array_equal(back, halves)


def test_hdr_does_not_clip_and_keeps_the_order() -> None:
    light = np.array([-100, -1, 0, 1e-4, 0.5, 1, 2, 60000], np.float32)
    shown = Hdr().encode(light)
    assert np.all(np.diff(shown) > 0)
    assert (shown[2], shown[5]) == (0, pytest.approx(1))


def test_srgb_is_the_standards_curve_and_clips() -> None:
    light = np.array([-1, 0, 0.001, 0.2140411, 1, 5], np.float32)
    shown = Srgb().encode(light)
    np.testing.assert_allclose(shown, [0, 0, 0.01292, 0.5, 1, 1], atol=1e-4)
    inside = np.linspace(0, 1, 1001, dtype=np.float32)
    np.testing.assert_allclose(Srgb().decode(Srgb().encode(inside)), inside, atol=1e-6)


def test_exposure_follows_the_light_and_ignores_what_is_none() -> None:
    light = np.full((8, 8, 3), 0.09, np.float32)
    assert exposure(light) == pytest.approx(2.0, rel=1e-4)
    light[0] = np.nan
    light[1] = np.inf
    light[2:4] = 0
    light[4] = -3
    assert exposure(light) == pytest.approx(2.0, rel=1e-4)
    assert exposure(np.zeros((4, 4, 3), np.float32)) == 1.0
