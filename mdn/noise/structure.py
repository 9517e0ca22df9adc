"""Whether noise is correlated: how much neighbouring pixels differ, against pixels four apart.

White noise differs as much from its neighbour as from any other; smoothed noise differs less.
Measured where the picture is flat: in blocks whose 16 cells have nearly the same mean. That choice
looks at coarse structure only, and so leaves the fine differences nearly unbiased.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CELL, CELLS = 6, 4  # a block is 4 x 4 cells of 6 x 6 pixels
SIDE = CELL * CELLS
MOST_BLOCKS = 10_000
SHARE = 0.02  # of the blocks: those taken for flat
FEWEST = 20
MOST_CLIPPED = 0.3  # share of a block's samples at 0 or 1
FAR = 4  # pixels: beyond the reach of demosaicing and of small blurs


@dataclass(frozen=True)
class Structure:
    """Noise of one channel seen by differences: variance, and the correlation of neighbours."""

    variance: float
    vertical: float
    horizontal: float


def measure(plane: Tensor, clipped: bool) -> Structure | None:
    """The structure of one channel (H, W); None when it has too few blocks to choose flat ones.

    clipped: whether samples beyond [0, 1] were cut off; blocks that are mostly cut are left out.
    """
    if min(plane.shape) < SIDE:
        return None
    step = max(2, round((plane.numel() / MOST_BLOCKS) ** 0.5) | 1)
    windows = plane.unfold(0, SIDE, step).unfold(1, SIDE, step)
    restless = _restlessness(plane, step)
    if clipped:
        cut = ((plane <= 0) | (plane >= 1)).float()[None]
        restless[F.avg_pool2d(cut, SIDE, step)[0] > MOST_CLIPPED] = torch.inf
    usable = int(restless.isfinite().sum())
    if usable < FEWEST:
        return None
    count = max(FEWEST, int(usable * SHARE))
    flattest = torch.topk(restless.flatten(), count, largest=False, sorted=False).indices
    rows, columns = flattest // restless.shape[1], flattest % restless.shape[1]
    flat = windows[rows, columns].double()
    near = [_difference(flat, axis, 1) for axis in (1, 2)]
    far = [_difference(flat, axis, FAR) for axis in (1, 2)]
    # Stripes do not differ along themselves at all: the axis that differs more tells the variance.
    variance = max(far)
    if variance <= 0:
        return None
    return Structure(variance, 1 - near[0] / variance, 1 - near[1] / variance)


def _restlessness(plane: Tensor, step: int) -> Tensor:
    """The variance of the 16 cell means of each block: (rows, columns) on a grid of that step."""
    means = F.avg_pool2d(plane[None], CELL, 1)[0]
    reach = SIDE - CELL + 1
    return means.unfold(0, reach, step).unfold(1, reach, step)[..., ::CELL, ::CELL].var((2, 3))


def _difference(blocks: Tensor, axis: int, lag: int) -> float:
    """Half the mean squared difference of samples `lag` apart: the variance if uncorrelated."""
    length = blocks.shape[axis] - lag
    change = blocks.narrow(axis, lag, length) - blocks.narrow(axis, 0, length)
    return float(change.square().mean()) / 2
