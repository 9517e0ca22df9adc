"""Negative light: noise in a layer of light, the picture itself in a layer of differences.

Filters with negative lobes and lights that were subtracted leave samples below 0. Of a mean they
are a true part, but no net was taught them, and in the result they are dots. So where a layer is
light, they are filled, and their neighbours pay for it. A layer that is meant to go both ways,
such as the difference of two renders, is left as it is.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.pipeline import windows

CELL = 8  # pixels a side
TRIM = 0.2  # share of a cell's samples at either end that do not count in its mean
CELLS_BELOW = 0.1  # share of the light of all cells that is below 0 in a layer of both signs..
LIGHT_BELOW, SAMPLES_BELOW = 0.3, 0.25  # ..or of the light of all samples, and of their number
FILL, LEVEL = 2, 3  # radii of the means that fill, and that tell an outlier
DEEPEST = 5.0  # times the light around, below which a negative sample is an outlier
REACH = (4, 8, 16)  # radii within which neighbours pay
MOST = 0.5  # of a neighbour's light that is taken at once


def both_signs(pixels: np.ndarray) -> bool:
    """Whether a layer (H, W, C), finite, is meant to hold negative values.

    Noise below 0 has light around it; a difference is below 0 in whole places, or everywhere as
    often as above. Both are asked for robustly: a few per cent of samples decide nothing.
    """
    if not (pixels < 0).any():
        return False
    values = pixels.astype(np.float64)
    lit = np.count_nonzero(values)
    if np.count_nonzero(values < 0) > SAMPLES_BELOW * lit and _below(values) > LIGHT_BELOW:
        return True
    return _below(_cells(values)) > CELLS_BELOW


def _below(values: np.ndarray) -> float:
    """The share of all light, taken as positive, that is below 0."""
    total = float(np.abs(values).sum())
    return float(np.maximum(-values, 0).sum()) / total if total > 0 else 0.0


def _cells(values: np.ndarray) -> np.ndarray:
    """The trimmed means of cells of 8 x 8 pixels; smaller ones at the end are left out."""
    height, width = (max(side // CELL, 1) * min(CELL, side) for side in values.shape[:2])
    tall, broad = min(CELL, height), min(CELL, width)
    cut = values[:height, :width].reshape(height // tall, tall, width // broad, broad, -1)
    cells = np.sort(cut.transpose(0, 2, 4, 1, 3).reshape(-1, tall * broad), 1)
    trim = int(TRIM * cells.shape[1])
    return cells[:, trim : cells.shape[1] - trim].mean(1)


def nonnegative(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) float32 without samples below 0, and with the same light.

    A negative sample takes the mean of what is around it. What it gets, and what it lacked before,
    is taken from positive samples around it in proportion to their light; farther away if those
    have too little. Further below 0 than 5 times the light around, it counts no more.
    """
    below = pixels < 0
    if not below.any():
        return pixels
    values, negative = windows.planes(pixels), windows.planes(below)
    lit = values.clamp(min=0)
    values = torch.maximum(values, -DEEPEST * windows.mean(lit, LEVEL))
    fill = windows.mean(values, FILL).clamp(min=0)
    result = torch.where(negative > 0, fill, lit)
    debt = torch.where(negative > 0, fill - values, 0.0)
    for radius in REACH:
        payers = torch.where(negative > 0, 0.0, result)
        result, debt = _paid(result, payers, debt, radius)
    return result.clamp(min=0).float().numpy().transpose(1, 2, 0)


def _paid(result: Tensor, payers: Tensor, debt: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """The result less what pixels within the radius can pay, and the debt that is left."""
    means = _sum(payers, radius)
    rate = torch.where(means > 0, debt / means, 0.0)
    size = 2 * radius + 1
    heaviest = F.max_pool2d(_sum(rate, radius)[None], size, 1, radius)[0]
    granted = rate * torch.where(heaviest > MOST, MOST / heaviest, 1.0)
    return result - payers * _sum(granted, radius), debt - granted * means


def _sum(maps: Tensor, radius: int) -> Tensor:
    """The sum of (C, H, W) over windows; beyond the picture there is nothing."""
    size = 2 * radius + 1
    across = F.avg_pool2d(maps[None], (1, size), 1, (0, radius)) * size
    return F.avg_pool2d(across, (size, 1), 1, (radius, 0))[0] * size
