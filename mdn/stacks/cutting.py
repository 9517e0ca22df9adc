"""How a large stack is cut into blocks of whole chunks."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mdn.engine.run import TILE
from mdn.io.stack import Plane

PIXELS = 2**24  # of a block, at least
ROWS = 4 * TILE  # ... of a plane that is cut: a tile's surroundings are computed in both blocks


@dataclass(frozen=True)
class Block:
    """Rows start..stop of the pages with these numbers among those that are denoised."""

    pages: tuple[int, ...]
    start: int
    stop: int


def pages_of(chosen: Sequence[Plane]) -> list[list[Plane]]:
    """The planes that share their rows."""
    groups = groupby(chosen, key=lambda plane: (plane.series, plane.number))
    return [list(planes) for _, planes in groups]


def blocks_of(pages: Sequence[Sequence[Plane]]) -> Iterator[Block]:
    """Pages that share chunks stay together; large planes are cut across, small ones joined."""
    chunks: dict[tuple[Any, ...], list[int]] = {}
    for number, planes in enumerate(pages):
        chunk = planes[0].rows.chunk
        chunks.setdefault((planes[0].series, number if chunk is None else chunk), []).append(number)
    joined: list[int] = []
    for numbers in chunks.values():
        height, width, _ = pages[numbers[0]][0].shape
        step = pages[numbers[0]][0].rows.block_height
        rows = max(ROWS, math.ceil(PIXELS / (width * len(numbers))))
        rows = -(-rows // step) * step
        if rows < height:
            for start in range(0, height, rows):
                yield Block(tuple(numbers), start, min(height, start + rows))
            continue
        same = not joined or pages[joined[0]][0].shape[:2] == (height, width)
        if not same or (len(joined) + len(numbers)) * height * width > PIXELS:
            if joined:
                yield _whole(pages, joined)
            joined = []
        joined += numbers
    if joined:
        yield _whole(pages, joined)


def _whole(pages: Sequence[Sequence[Plane]], numbers: Sequence[int]) -> Block:
    return Block(tuple(numbers), 0, pages[numbers[0]][0].shape[0])
