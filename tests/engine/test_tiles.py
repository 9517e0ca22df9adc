"""Tiles cover every pixel, with weights that add up to one and trust no pixel too near an edge."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mdn.engine.tiles import spans


@given(
    cells=st.integers(1, 300),
    tile=st.integers(1, 900),
    context=st.integers(0, 90),
    multiple=st.sampled_from([1, 4, 8, 16]),
)
def test_weights_add_up_to_one_everywhere(
    cells: int, tile: int, context: int, multiple: int
) -> None:
    length = cells * multiple
    total = np.zeros(length)
    for span in spans(length, tile, context, multiple):
        assert span.start % multiple == 0
        assert 0 <= span.start < span.stop <= length
        total[span.start : span.stop] += span.weights
    np.testing.assert_allclose(total, 1, atol=1e-5)


@given(cells=st.integers(1, 300), tile=st.integers(1, 900), context=st.integers(0, 90))
def test_no_weight_where_the_receptive_field_was_cut(cells: int, tile: int, context: int) -> None:
    for span in spans(cells * 8, tile, context, 8):
        if span.start > 0:
            assert not span.weights[:context].any()
        if span.stop < cells * 8:
            assert not span.weights[len(span.weights) - context :].any()


def test_all_tiles_are_of_one_size_and_not_above_the_wanted() -> None:
    found = spans(4000, 512, 40, 8)
    assert len({span.stop - span.start for span in found}) == 1
    assert found[0].stop <= 512
    assert (found[0].start, found[-1].stop) == (0, 4000)
