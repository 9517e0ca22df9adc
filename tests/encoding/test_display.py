"""Encodings give back what they were given, and take the depth from the dtype alone."""

import numpy as np
import pytest

from mdn.encoding import Display


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
