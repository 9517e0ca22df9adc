"""Doubting an estimate: a net that is told of more noise than there is does not find it.

Where a picture is texture all over, no statistic of its pixels tells fine texture from noise; a net
that has learnt photographs does. At the true level it takes out nearly all of the noise: what it
takes is as strong as the noise, less its own error. Of texture that passed for noise it takes half
or less. So what it takes from parts of the picture bounds the level from above, and the level is
lowered until it is believed. Where that errs nothing much is lost: a net that takes little out
could not have gained much either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mdn.tasks.told import Told, share_for

TEXTURED = 1.4  # low over high frequency energy in the flattest places: below, there is no doubt
FOUND = 0.58  # share of the told deviation that a net takes out where it is believed..
TAKEN = 0.72  # ..and usually takes out at the true level
# Without power at coarse scales, and not the same in all channels: that is mostly noise, of which
# one that a net never saw, such as film grain, is not found well either.
COARSE, COLOUR, LIKELY = 1.0, 0.36, 0.38
ROUNDS = 8
PARTS, SIDE = 3, 96  # windows along each side, and pixels of theirs; a multiple of 4


def doubtful(told: Told) -> bool:
    """Whether the picture leaves room for doubt."""
    seen = told.seen
    if seen is None or told.usual is not None or told.share == 0:
        return False
    return seen.correlated or seen.texture > TEXTURED


def believed(told: Told, taken: Callable[[Told], float]) -> Told:
    """The same, weakened until the net finds what it is told of.

    taken: root mean square of what the net takes out of parts of the picture, nominal range [0, 1].
    """
    assert told.seen is not None
    level = told.seen.level / 255
    coarse, colour = told.seen.coarse, told.seen.colour
    likely = coarse is not None and colour is not None and coarse < COARSE and colour > COLOUR
    for _ in range(ROUNDS):
        share = taken(told) / level
        if share >= (LIKELY if likely else FOUND):
            break
        factor = share / TAKEN
        level *= factor
        told = replace(
            told,
            level=told.level * factor,
            scales=tuple(each * factor for each in told.scales),
            share=share_for(told.level * factor),
        )
        if told.share == 0:
            break
    return told


def windows(height: int, width: int) -> list[tuple[slice, slice]]:
    """Parts spread over a picture, all of it where it is small."""
    return [(rows, columns) for rows in _spans(height) for columns in _spans(width)]


def _spans(length: int) -> list[slice]:
    if length <= SIDE:
        return [slice(0, length)]
    count = min(PARTS, -(-length // SIDE))
    starts = np.linspace(0, length - SIDE, count).round().astype(int)
    return [slice(int(start), int(start) + SIDE) for start in starts]
