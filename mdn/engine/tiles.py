"""Where tiles lie and how their results are blended.

Along one axis, two neighbouring tiles:

    tile i     |=================--------|
    tile i+1            |--------=================|
                        [ctx][ feather ][ctx]

Within `halo` of an edge that is not the picture's own, a tile's result is wrong: the net did not
see all that it would have seen in the whole picture. Such pixels get weight zero. Over the
`feather` the weight rises to one, so that what rounding leaves of a difference shows no seam.
Weights are then divided by their sum, which is cheap to know: a grid of tiles is the product of
its two axes.
"""

from dataclasses import dataclass

import numpy as np

FEATHER = 16  # pixels; what it hides is rounding alone, so that a narrow one will do
OWN = 64  # pixels of its own that the smallest tile must have, or nearly all work is done twice


@dataclass(frozen=True)
class Span:
    """One tile along one axis: pixels start..stop, and their weights, which add up to one."""

    start: int
    stop: int
    weights: np.ndarray

    @property
    def counts(self) -> slice:
        """The part of the tile that has any weight, counted from its start."""
        weighed = np.flatnonzero(self.weights)
        return slice(int(weighed[0]), int(weighed[-1]) + 1)

    def counts_in(self, start: int, stop: int) -> bool:
        """Whether it has any weight among pixels start..stop."""
        inner = slice(max(0, start - self.start), max(0, stop - self.start))
        return bool(self.weights[inner].any())


def smallest_tile(halo: int, multiple: int) -> int:
    """The least tile that is worth its overlap, in pixels."""
    return _up(2 * halo + FEATHER + multiple + OWN, multiple)


def spans(length: int, tile: int, halo: int, multiple: int) -> list[Span]:
    """Tiles of equal size that cover 0..length, each starting at a multiple of `multiple`.

    As few as can be, and no larger than so many need: what tiles share is computed twice.

    Args:
        length: pixels to cover, a multiple of `multiple`.
        tile: largest size; rounded down to a multiple, and to at least `smallest_tile`.
        halo: radius of the receptive field.
        multiple: what the net needs sizes and origins to be multiples of.
    """
    tile = max(tile // multiple * multiple, smallest_tile(halo, multiple))
    if length <= tile:
        return [Span(0, length, np.ones(length, np.float32))]
    shared = 2 * halo + FEATHER + multiple
    count = -(-(length - shared) // (tile - shared))  # each has at least OWN pixels of its own
    own = -(-(length - shared) // count)
    tile = max(_up(shared + own, multiple), smallest_tile(halo, multiple))
    even = [round(i * (length - tile) / (count - 1) / multiple) * multiple for i in range(count)]
    raw = [_ramp(start, start + tile, length, halo) for start in even]
    total = np.zeros(length, np.float32)
    for start, weights in zip(even, raw, strict=True):
        total[start : start + tile] += weights
    return [
        Span(start, start + tile, weights / total[start : start + tile])
        for start, weights in zip(even, raw, strict=True)
    ]


def _ramp(start: int, stop: int, length: int, halo: int) -> np.ndarray:
    """Zero for `halo` pixels at an inner edge, then a rise over the feather, then one."""
    position = np.arange(start, stop, dtype=np.float32) + 0.5
    weights = np.ones(stop - start, np.float32)
    if start > 0:
        weights *= np.clip((position - start - halo) / FEATHER, 0, 1)
    if stop < length:
        weights *= np.clip((stop - halo - position) / FEATHER, 0, 1)
    return weights


def reflected(start: int, stop: int, size: int) -> np.ndarray:
    """Indices start..stop into an axis of `size` pixels that goes on by reflection beyond its ends.

    The edge pixel is not repeated; an axis of one pixel repeats it for want of any other.
    """
    period = max(1, 2 * (size - 1))
    position = np.abs(np.arange(start, stop)) % period
    return np.where(position < size, position, period - position)


def padded(length: int, multiple: int) -> int:
    """The least multiple of `multiple` that holds `length` pixels."""
    return _up(max(length, 1), multiple)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
