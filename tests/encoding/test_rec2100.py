"""PQ and HLG: every stored value comes back, and paper is white."""

import numpy as np
import pytest

from mdn.encoding import Display, Rec2100, coding_of
from mdn.image import Image, Metadata


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
