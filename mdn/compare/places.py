"""Where in a picture there is something to see: noise, fine detail, shadows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

GRID = 14  # candidates along the longer side, at most
MIDDLE = 96  # pixels a side of the middle of a candidate, which is measured
MOST, LEAST = 256, 96  # pixels a side of a place
BLOCK = 8  # pixels a side of the blocks whose means separate detail from noise
CLIPPED = 0.2  # share of black or white samples from which on there is nothing to see


@dataclass(frozen=True)
class Place:
    """A square part of a picture: its top left corner in pixels."""

    top: int
    left: int


@dataclass(frozen=True)
class _Candidate:
    """What is measured at a place, in units of white."""

    place: Place
    texture: float  # how much pixels differ within a block, in the middle one: texture and noise
    contrast: float  # how much the means of blocks differ
    brightness: float  # the mean
    clipped: float  # share of the samples that are black or white


def side_for(height: int, width: int) -> int:
    """The side of the places, such that several fit into a picture."""
    shorter = min(height, width)
    return min(MOST, max(min(LEAST, shorter), shorter // 3))


def choose(
    height: int, width: int, side: int, read: Callable[[int, int, int], np.ndarray]
) -> list[Place]:
    """Up to four places: a flat one, the finest detail, a shadow, and strong edges.

    A picture is measured in small windows, so that 100 megapixels take no longer than one.

    Args:
        side: of the places, in pixels; less where the picture is smaller.
        read: (top, left, side) -> (side, side, C) of the picture, encoded, nominal range 0..1.
    """
    measured = [_measure(place, side, read) for place in _grid(height, width, side)]
    worth = [each for each in measured if each.clipped < CLIPPED] or measured
    middle = float(np.median([each.brightness for each in worth]))
    bright = [each for each in worth if each.brightness >= middle]
    wanted: list[tuple[list[_Candidate], Callable[[_Candidate], float]]] = [
        (bright, lambda each: -each.texture),
        (worth, lambda each: each.texture),
        (worth, lambda each: -each.brightness),
        (worth, lambda each: each.contrast),
    ]
    chosen: list[Place] = []
    for among, rank in wanted:
        apart = [each for each in among if all(_apart(each.place, c, side) for c in chosen)]
        if apart:
            chosen.append(max(apart, key=rank).place)
    return chosen


def _grid(height: int, width: int, side: int) -> list[Place]:
    """Places on a regular grid, the edges of the picture included."""
    step = max(1, side // 4, max(height, width) // GRID)
    tops, lefts = (
        np.unique(
            np.linspace(0, max(0, length - side), 1 + max(0, length - side) // step).astype(int)
        )
        for length in (height, width)
    )
    return [Place(int(top), int(left)) for top in tops for left in lefts]


def _measure(place: Place, side: int, read: Callable[[int, int, int], np.ndarray]) -> _Candidate:
    inset = max(0, side - MIDDLE) // 2
    values = read(place.top + inset, place.left + inset, min(side, MIDDLE))
    gray = values.mean(-1)
    tall, wide = (length // BLOCK * BLOCK for length in gray.shape)
    if not tall or not wide:
        return _Candidate(place, 0.0, 0.0, float(gray.mean()), 0.0)
    blocks = gray[:tall, :wide].reshape(tall // BLOCK, BLOCK, wide // BLOCK, BLOCK)
    texture = np.median(blocks.std((1, 3)))
    contrast = blocks.mean((1, 3)).std()
    clipped = np.mean((values <= 0) | (values >= 1))
    return _Candidate(place, float(texture), float(contrast), float(gray.mean()), float(clipped))


def _apart(one: Place, other: Place, side: int) -> bool:
    return max(abs(one.top - other.top), abs(one.left - other.left)) >= side
