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
BLUR = 2  # pixels to each side, that are averaged before they are compared
RADIUS = 4  # blocks of 2 x 2 pixels to each side of one, that are compared
# What a shift costs, in standard errors of the difference that noise alone makes: any but none; one
# that departs from that of the coarser level; and, by pixel, how far it does.
MOVES, DEPARTS, TURNS = 1.0, 1.0, 0.1
BESIDE = 3  # blocks away, whose shifts at the coarser level are tried: motion has borders
LENDERS, LENT = (12, 6), 0.3  # blocks away, whose own shifts are tried last; and their cost
ALIKE = 0.44  # the mean square of what noise a blurred pixel shares with those around
MULTIPLE = 2 ** (LEVELS + 1)  # sides of a tile, and where it begins
# Pixels around a place that its shift depends on: windows at each level, what is borrowed, shifts.
REACH = (
    sum(2**level * (BLUR + 2 * RADIUS + 2) for level in range(LEVELS + 1))
    + sum(2**level * 2 * BESIDE + 2**level for level in range(LEVELS))
    + 2 * sum(LENDERS)
    + 2**LEVELS * SEARCH
)
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

    def beside(self, down: int, across: int) -> Shifts:
        """Those of the places so far away."""
        return Shifts(_moved(self.rows, down, across), _moved(self.columns, down, across))


def match(plane: Tensor, other: Tensor) -> Shifts:
    """Where the pixels of a plane lie in another; both (B, 1, H, W), noise of deviation 1.

    H and W are multiples of MULTIPLE.
    """
    pairs = [(plane, other)]
    for _ in range(LEVELS):
        pairs.append((F.avg_pool2d(pairs[-1][0], 2), F.avg_pool2d(pairs[-1][1], 2)))
    soft = [(box(one, BLUR), box(two, BLUR)) for one, two in pairs]
    shifts = _searched(*soft[-1], 2 / 4**LEVELS)
    for level in reversed(range(LEVELS)):
        best, shifts = _refined(*soft[level], 2 / 4**level, shifts.larger())
    return _borrowed(*soft[0], 2.0, best, shifts).of_blocks()


def _searched(plane: Tensor, other: Tensor, variance: float) -> Shifts:
    """Of all shifts, for blocks of 2 x 2 pixels."""
    best = _difference(plane, other, variance)
    rows = torch.zeros_like(best, dtype=torch.int64)
    shifts = Shifts(rows, rows)
    reach = range(-SEARCH, SEARCH + 1)
    for down in reach:
        for across in reach:
            if (down, across) != (0, 0):
                cost = _difference(plane, _moved(other, down, across), variance)
                candidate = Shifts(rows + down, rows + across)
                best, shifts = _better(best, shifts, cost + MOVES + DEPARTS, candidate)
    return shifts


def _refined(
    plane: Tensor, other: Tensor, variance: float, coarse: Shifts
) -> tuple[Tensor, Shifts]:
    """The least cost, and shifts, of blocks of 2 x 2 pixels, from those of coarser blocks.

    Candidates are none, that of the block, those of blocks beside it, and what lies a pixel around.
    """
    best = _difference(plane, other, variance)
    none = torch.zeros_like(best, dtype=torch.int64)
    shifts = Shifts(none, none)
    for down, across in ((0, 0), (BESIDE, 0), (-BESIDE, 0), (0, BESIDE), (0, -BESIDE)):
        candidate = coarse.beside(down, across)
        best, shifts = _tried(plane, other, variance, best, shifts, candidate, 0.0)
    for i, j in AROUND:
        candidate = Shifts(coarse.rows + i, coarse.columns + j)
        cost = DEPARTS + TURNS * (abs(i) + abs(j))
        best, shifts = _tried(plane, other, variance, best, shifts, candidate, cost)
    return best, shifts


def _borrowed(
    plane: Tensor, other: Tensor, variance: float, best: Tensor, shifts: Shifts
) -> Shifts:
    """The shifts, or those of blocks further away where these do better: motion is smooth."""
    for away in LENDERS:
        for down, across in ((away, 0), (-away, 0), (0, away), (0, -away)):
            candidate = shifts.beside(down, across)
            best, shifts = _tried(plane, other, variance, best, shifts, candidate, LENT)
    return shifts


def _tried(
    plane: Tensor,
    other: Tensor,
    variance: float,
    best: Tensor,
    shifts: Shifts,
    candidate: Shifts,
    cost: float,
) -> tuple[Tensor, Shifts]:
    """The better of shifts of blocks and a candidate, which costs so much more, and its cost."""
    moved = (candidate.rows != 0) | (candidate.columns != 0)
    difference = _difference(plane, candidate.of_blocks().fetch(other), variance)
    return _better(best, shifts, difference + MOVES * moved + cost, candidate)


def _better(best: Tensor, shifts: Shifts, cost: Tensor, candidate: Shifts) -> tuple[Tensor, Shifts]:
    less = cost < best
    rows = torch.where(less, candidate.rows, shifts.rows)
    return torch.where(less, cost, best), Shifts(
        rows, torch.where(less, candidate.columns, shifts.columns)
    )


def _difference(plane: Tensor, other: Tensor, variance: float) -> Tensor:
    """Squares of differences of blurred planes in the windows around blocks of 2 x 2 pixels.

    In standard errors of what noise alone makes of them; variance: of a difference not blurred.
    """
    blocks = F.avg_pool2d((plane - other).square_(), 2)
    alike = (2 * BLUR + 1) ** 2  # pixels that share noise; as many as ALIKE of it are one
    independent = 4 * (2 * RADIUS + 1) ** 2 / (ALIKE * alike)
    return box(blocks, RADIUS).mul_((independent / 2) ** 0.5 * alike / variance)


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
