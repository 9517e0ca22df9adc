"""Encodings give back what they were given: shown, linear light of any range, PQ and HLG."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdn.encoding import Display, Hdr, Rec2100, Srgb, coding_of, exposure
from mdn.image import Image, Metadata

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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_integer_comes_back(dtype: type) -> None:
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 1, 1)
    coding = Display(values.dtype)
    np.testing.assert_array_equal(coding.decode(coding.encode(values)), values)


def test_floats_come_back_also_outside_0_and_1() -> None:
    values = np.array([-3.5, 0, 0.1, 1, 70000.25], np.float32).reshape(-1, 1, 1)
    coding = Display(values.dtype)
    np.testing.assert_array_equal(coding.decode(coding.encode(values)), values)


def test_depth_is_not_read_from_the_maximum() -> None:
    dark = np.full((2, 2, 1), 255, np.uint16)
    assert Display(dark.dtype).encode(dark).max() == pytest.approx(255 / 65535)


def test_results_beyond_the_range_are_clipped_not_wrapped() -> None:
    out = Display(np.dtype(np.uint8)).decode(np.array([-0.2, 1.3, 0.5], np.float32))
    np.testing.assert_array_equal(out, [0, 255, 128])


@pytest.mark.parametrize("curve", ["pq", "hlg"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_sample_comes_back(curve: str, dtype: type) -> None:
    coding = Rec2100(np.dtype(dtype), curve)
    stored = np.arange(np.iinfo(dtype).max + 1, dtype=np.uint32).astype(dtype).reshape(1, -1)
    shown = coding.encode(stored)
    assert shown.dtype == np.float32
    assert (np.diff(shown) >= 0).all()
    back = coding.decode(shown).astype(int)
    assert np.array_equal(back, stored)


@pytest.mark.parametrize(
    ("curve", "signal", "shown"),
    [("pq", 0, 0), ("pq", 0.58068, 1), ("pq", 1, 5.296), ("hlg", 0.75, 1), ("hlg", 0, 0)],
)
def test_paper_is_white(curve: str, signal: float, shown: float) -> None:
    """BT.2408, table 1: paper is 58 % of PQ's signal, 75 % of HLG's."""
    coding = Rec2100(np.dtype(np.float32), curve)
    assert coding.encode(np.array([signal])) == pytest.approx(shown, abs=0.01)


def test_what_a_net_makes_of_it_stays_in_range() -> None:
    coding = Rec2100(np.dtype(np.uint16), "pq")
    assert coding.decode(np.array([-0.3, 90.0], np.float32)).tolist() == [0, 65535]


def test_the_tags_of_a_picture_choose_its_encoding() -> None:
    def chosen(**meta: object) -> object:
        pixels = np.zeros((1, 2, 2, 3), np.uint16)
        return coding_of(Image(pixels, meta=Metadata(**meta)))

    dtype = np.dtype(np.uint16)
    assert chosen(cicp=(9, 16)) == Rec2100(dtype, "pq")
    assert chosen(cicp=(12, 18)) == Rec2100(dtype, "hlg")
    assert chosen(cicp=(9, 16), icc=b"profile") == Display(dtype)  # which goes before
    assert chosen(cicp=(12, 13)) == chosen() == Display(dtype)


@pytest.mark.parametrize("curve", ["pq", "hlg"])
def test_deviations_are_in_the_unit_of_the_file(curve: str) -> None:
    coding = Rec2100(np.dtype(np.uint16), curve)
    stored = np.random.default_rng(0).normal(30000, 200, 100_000).astype(np.uint16)
    shown = coding.encode(stored)
    found = coding.deviation(shown.mean(keepdims=True), shown.std(keepdims=True))
    assert found == pytest.approx(200, rel=0.02)
