"""Whether noise is correlated: how much neighbouring pixels differ, against pixels four apart.

White noise differs as much from its neighbour as from any other; smoothed noise differs less.
Measured where the picture is flat: in blocks whose 16 cells have nearly the same mean. That choice
looks at coarse structure only, and so leaves the fine differences nearly unbiased.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CELL, CELLS = 6, 4  # a block is 4 x 4 cells of 6 x 6 pixels
SIDE = CELL * CELLS
MOST_BLOCKS = 10_000
SHARE = 0.02  # of the blocks: those that count as flat
FEWEST = 20
MOST_CLIPPED = 0.3  # share of a block's samples at 0 or 1
FEW_CLIPPED, ENOUGH = 0.01, 0.2  # share by which a block still is whole; of whole blocks
FAR = 4  # pixels: beyond the reach of demosaicing and of small blurs
ROUNDS = 3  # after which what the choice of blocks took is known to 1 %


@dataclass(frozen=True)
class Autocorrelation:
    """Noise of one channel seen by differences: variance, and the correlation of neighbours.

    low_frequency: the variance of white noise that has as much power at the lowest frequencies: the
    sum of the autocovariance, up to FAR pixels, taken for separable. It is the variance times nine
    for noise that went through a 3x3 mean, and the variance itself for white noise.
    """

    variance: float
    vertical: float
    horizontal: float
    low_frequency: float


def measure(plane: Tensor, clipped: bool) -> Autocorrelation | None:
    """Of one channel (H, W); None when it has too few blocks to choose flat ones.

    clipped: whether samples beyond [0, 1] were cut off; blocks that are mostly cut are left out.
    """
    chosen = _flattest(plane, clipped)
    if chosen is None:
        return None
    step, rows, columns, restless = chosen
    windows = plane.unfold(0, SIDE, step).unfold(1, SIDE, step)
    flat = _level(windows[rows, columns].double())
    differences = [[_difference(flat, axis, lag) for lag in range(1, FAR + 1)] for axis in (1, 2)]
    near = max(differences[0][-1], differences[1][-1])
    if near <= 0:
        return None
    vertical, horizontal = _completed(differences, restless)
    # Stripes do not differ along themselves at all: the axis that differs more tells the variance.
    variance = max(vertical[-1], horizontal[-1])
    power = variance * _sum(vertical, variance) * _sum(horizontal, variance)
    return Autocorrelation(near, 1 - differences[0][0] / near, 1 - differences[1][0] / near, power)


def power_in_flat(plane: Tensor, other: Tensor, clipped: bool) -> float | None:
    """Mean square of another channel (H, W) where the plane is flat; None as for `measure`."""
    chosen = _flattest(plane, clipped)
    if chosen is None:
        return None
    step, rows, columns, _ = chosen
    return float(other.unfold(0, SIDE, step).unfold(1, SIDE, step)[rows, columns].square().mean())


def _flattest(plane: Tensor, clipped: bool) -> tuple[int, Tensor, Tensor, float] | None:
    """The flattest blocks: step of their grid, rows and columns on it, and their restlessness."""
    if min(plane.shape) < SIDE:
        return None
    step = max(2, round((plane.numel() / MOST_BLOCKS) ** 0.5) | 1)
    restless = _restlessness(plane, step)
    if clipped:
        ends = ((plane <= 0) | (plane >= 1)).float()[None]
        cut = F.avg_pool2d(ends, SIDE, step)[0]
        # A cut takes of the noise, and so makes blocks look calm: whole ones first, if there are.
        whole = float((cut <= FEW_CLIPPED).float().mean()) >= ENOUGH
        restless[cut > (FEW_CLIPPED if whole else MOST_CLIPPED)] = torch.inf
    usable = int(restless.isfinite().sum())
    if usable < FEWEST:
        return None
    count = max(FEWEST, int(usable * SHARE))
    chosen = torch.topk(restless.flatten(), count, largest=False, sorted=False).indices
    rows, columns = chosen // restless.shape[1], chosen % restless.shape[1]
    return step, rows, columns, float(restless.flatten()[chosen].mean())


def _completed(differences: list[list[float]], restless: float) -> list[list[float]]:
    """The differences with what the choice of the calmest blocks took from them.

    differences: half the mean squared difference at lags 1 to FAR, down and across, not all 0.
    restless: variance of the cells' means in the chosen blocks. Where that is less than noise of
    such differences must leave, the rest was chosen away: a field that is constant in each cell,
    seen by the share of the pairs that straddle two.
    """
    complete = differences
    for _ in range(ROUNDS):
        variance = max(complete[0][-1], complete[1][-1])
        expected = (
            variance * _mean_variance(complete[0], variance) * _mean_variance(complete[1], variance)
        )
        missing = max(0.0, expected - restless)
        complete = [
            [value + missing * lag / CELL for lag, value in enumerate(axis, 1)]
            for axis in differences
        ]
    return complete


def _mean_variance(differences: list[float], variance: float) -> float:
    """Variance of the mean of CELL samples in a row, in units of a sample's."""
    lags = enumerate(differences[:-1], 1)
    pairs = sum((1 - lag / CELL) * (1 - value / variance) for lag, value in lags)
    return max(0.0, 1 + 2 * pairs) / CELL


def _sum(differences: list[float], variance: float) -> float:
    """Sum of the autocorrelation over all lags nearer than FAR, both ways."""
    return max(0.0, 1 + 2 * sum(1 - value / variance for value in differences[:-1]))


def _level(blocks: Tensor) -> Tensor:
    """Blocks (n, SIDE, SIDE) less the plane that fits each best: shading is not noise."""
    ramp = torch.arange(SIDE, dtype=blocks.dtype) - (SIDE - 1) / 2
    power = SIDE * ramp.square().sum()
    down = (blocks * ramp[:, None]).sum((1, 2), keepdim=True) / power
    across = (blocks * ramp).sum((1, 2), keepdim=True) / power
    return blocks - down * ramp[:, None] - across * ramp


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
