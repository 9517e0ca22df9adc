"""Where what a plane shows lies in another plane: block matching, coarse to fine.

Each place has a shift in whole pixels, so that what is fetched keeps its noise: white, and of the
same strength. Under noise, the best of many shifts is one whose noise happens to be alike. So a
shift must explain more than none does, by as much as chance could gain (a penalty on the logarithm
of the likelihood, as of a prior that prefers rest), and follows what was found at half the
resolution, for larger windows, but for one pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 2  # halvings of the resolution
SEARCH = 4  # pixels at the coarsest, to each side
RADIUS = 2  # blocks of 2 x 2 pixels to each side of one, that are compared
MOVES = 30.0  # what any motion costs, in squared differences over their variance
TURNS = 4.0  # what a pixel costs, by which a shift departs from that of the coarser level
MULTIPLE = 2 ** (LEVELS + 1)  # sides of a tile, and where it begins
# Pixels around a place that its shift depends on: windows, the shifts, and borrowed ones.
REACH = sum(2**level * (2 * RADIUS + 5) for level in range(LEVELS + 1)) + 2**LEVELS * SEARCH
AROUND = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


@dataclass(frozen=True)
class Shifts:
    """rows, columns: (B, 1, H, W) int64; where a pixel lies in the other plane, less its place."""

    rows: Tensor
    columns: Tensor

    def fetch(self, plane: Tensor) -> Tensor:
        """(B, 1, H, W) of the other plane as this one shows it; the edges are repeated."""
        height, width = plane.shape[2:]
        down, across = self._places(height, width)
        place = down.clamp(0, height - 1) * width + across.clamp(0, width - 1)
        return plane.flatten(1).gather(1, place.flatten(1)).view_as(plane)

    def inside(self, height: int, width: int) -> Tensor:
        """Which of the pixels lie within the other plane, bool."""
        down, across = self._places(height, width)
        return (down >= 0) & (down < height) & (across >= 0) & (across < width)

    def _places(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        rows, columns = (torch.arange(n, device=self.rows.device) for n in (height, width))
        return self.rows + rows[:, None], self.columns + columns

    def larger(self) -> Shifts:
        """The same for twice as many pixels a side, of half the size."""
        return Shifts(*(2 * _spread(shift) for shift in (self.rows, self.columns)))

    def of_blocks(self) -> Shifts:
        """Shifts of blocks of 2 x 2 pixels as those of pixels."""
        return Shifts(_spread(self.rows), _spread(self.columns))

    def borrowed(self, down: int, across: int) -> Shifts:
        """Those of the places so far away."""
        return Shifts(_moved(self.rows, down, across), _moved(self.columns, down, across))


def match(plane: Tensor, other: Tensor) -> Shifts:
    """Where the pixels of a plane lie in another; both (B, 1, H, W), noise of deviation 1.

    H and W are multiples of MULTIPLE.
    """
    pairs = [(plane, other)]
    for _ in range(LEVELS):
        pairs.append((F.avg_pool2d(pairs[-1][0], 2), F.avg_pool2d(pairs[-1][1], 2)))
    shifts = _searched(*pairs[-1], variance=2 / 4**LEVELS)
    for level in reversed(range(LEVELS)):
        shifts = _refined(*pairs[level], 2 / 4**level, shifts.larger())
    return shifts.of_blocks()


def _searched(plane: Tensor, other: Tensor, variance: float) -> Shifts:
    """Of all shifts, for blocks of 2 x 2 pixels."""
    best = _difference(plane, other, variance)
    rows = torch.zeros_like(best, dtype=torch.int64)
    shifts = Shifts(rows, rows)
    reach = range(-SEARCH, SEARCH + 1)
    for down in reach:
        for across in reach:
            if (down, across) != (0, 0):
                cost = _difference(plane, _moved(other, down, across), variance) + MOVES
                best, shifts = _better(best, shifts, cost, Shifts(rows + down, rows + across))
    return shifts


def _refined(plane: Tensor, other: Tensor, variance: float, coarse: Shifts) -> Shifts:
    """Shifts of pixels, each that of a coarser block, to those of blocks of 2 x 2 pixels.

    Candidates are none, that of the block, those of the blocks beside it, as motion ends somewhere,
    and what lies a pixel around it.
    """
    best = _difference(plane, other, variance)
    none = torch.zeros_like(best, dtype=torch.int64)
    shifts = Shifts(none, none)
    steps = (0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)
    candidates = [(coarse.borrowed(*step), 0.0) for step in steps]
    candidates += [
        (Shifts(coarse.rows + i, coarse.columns + j), TURNS * (abs(i) + abs(j))) for i, j in AROUND
    ]
    for candidate, turn in candidates:
        moved = (candidate.rows != 0) | (candidate.columns != 0)
        cost = _difference(plane, candidate.of_blocks().fetch(other), variance)
        best, shifts = _better(best, shifts, cost + MOVES * moved + turn, candidate)
    return shifts


def _better(best: Tensor, shifts: Shifts, cost: Tensor, candidate: Shifts) -> tuple[Tensor, Shifts]:
    less = cost < best
    rows = torch.where(less, candidate.rows, shifts.rows)
    return torch.where(less, cost, best), Shifts(
        rows, torch.where(less, candidate.columns, shifts.columns)
    )


def _difference(plane: Tensor, other: Tensor, variance: float) -> Tensor:
    """Sum of squares in the windows around blocks of 2 x 2 pixels, over their variance."""
    blocks = F.avg_pool2d((plane - other).square_(), 2)
    samples = 4 * (2 * RADIUS + 1) ** 2
    return box(blocks, RADIUS).mul_(samples / variance)


def box(x: Tensor, radius: int) -> Tensor:
    """Means over windows of 2 radius + 1 a side; of what lies inside, at the edges.

    Each is a sum of its own samples in the same order, so that tiles agree with the whole.
    """
    size = 2 * radius + 1
    x = F.avg_pool2d(x, (1, size), 1, (0, radius), count_include_pad=False)
    return F.avg_pool2d(x, (size, 1), 1, (radius, 0), count_include_pad=False)


def _spread(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def _moved(x: Tensor, down: int, across: int) -> Tensor:
    """x at places so far away; the edges are repeated."""
    for axis, step in ((2, down), (3, across)):
        if step:
            place = torch.arange(x.shape[axis], device=x.device) + step
            x = x.index_select(axis, place.clamp(0, x.shape[axis] - 1))
    return x
