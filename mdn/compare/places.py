"""Where in a picture there is something to see: noise, fine detail, shadows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

GRID = 14  # candidates along the longer side, at most
MIDDLE = 96  # pixels a side of the middle of a candidate, which is measured
MOST, LEAST = 256, 96  # pixels a side of a place
BLOCK = 8  # pixels a side of the blocks whose means separate detail from noise
CLIPPED = 0.2  # share of black or white samples from which on there is nothing to see

# (top, left, side) -> (side, side, C) of a picture, encoded, nominal range 0..1.
Read = Callable[[int, int, int], np.ndarray]


@dataclass(frozen=True)
class Place:
    """A square part of a picture, by its top left corner in pixels, and what it shows."""

    top: int
    left: int
    # in units of white
    texture: float = 0.0  # how much pixels differ within a block, in the middle one of all
    contrast: float = 0.0  # how much the means of blocks differ
    brightness: float = 0.0  # the mean
    clipped: float = 0.0  # share of the samples that are black or white


def side_for(height: int, width: int) -> int:
    """The side of the places, such that several fit into a picture."""
    shorter = min(height, width)
    return min(MOST, max(min(LEAST, shorter), shorter // 3))


def choose(height: int, width: int, side: int, read: Read) -> list[Place]:
    """Up to four places: a flat one, the finest detail, a shadow, and strong edges.

    A picture is measured in small windows, so that 100 megapixels take no longer than one.
    side: of the places, in pixels; less where the picture is smaller.
    """
    step = max(1, side // 4, max(height, width) // GRID)
    rests = [max(0, length - side) for length in (height, width)]
    tops, lefts = (np.unique(np.linspace(0, r, 1 + r // step).astype(int)) for r in rests)
    places = [_measure(int(top), int(left), side, read) for top in tops for left in lefts]
    rich = [place for place in places if place.clipped < CLIPPED] or places
    middle = float(np.median([place.brightness for place in rich]))
    bright = [place for place in rich if place.brightness >= middle]
    rankings: list[tuple[list[Place], Callable[[Place], float]]] = [
        (bright, lambda place: -place.texture),
        (rich, lambda place: place.texture),
        (rich, lambda place: -place.brightness),
        (rich, lambda place: place.contrast),
    ]
    chosen: list[Place] = []
    for candidates, rank in rankings:
        apart = [place for place in candidates if all(_apart(place, c, side) for c in chosen)]
        if apart:
            chosen.append(max(apart, key=rank))
    return chosen


def _measure(top: int, left: int, side: int, read: Read) -> Place:
    inset = max(0, side - MIDDLE) // 2
    values = read(top + inset, left + inset, min(side, MIDDLE))
    gray = values.mean(-1)
    tall, wide = (length // BLOCK * BLOCK for length in gray.shape)
    if not tall or not wide:
        return Place(top, left, brightness=float(gray.mean()))
    blocks = gray[:tall, :wide].reshape(tall // BLOCK, BLOCK, wide // BLOCK, BLOCK)
    texture = float(np.median(blocks.std((1, 3))))
    contrast = float(blocks.mean((1, 3)).std())
    clipped = float(np.mean((values <= 0) | (values >= 1)))
    return Place(top, left, texture, contrast, float(gray.mean()), clipped)


def _apart(one: Place, other: Place, side: int) -> bool:
    return max(abs(one.top - other.top), abs(one.left - other.left)) >= side
