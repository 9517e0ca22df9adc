"""A render keeps its light: what the net takes from a neighbourhood comes back."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.pipeline import windows

CELL, RADIUS = 8, 4  # pixels a side; cells to each side of one that are averaged, twice


def keep_light(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The clean light, with neighbourhoods as bright as in the noisy one.

    A net that is trained for the least absolute error aims at the median, which of few samples of a
    lamp lies below the mean; but the mean of a path tracer's samples is right. So the light of a
    neighbourhood is known far better than that of a pixel. What is missing counts as far as it is
    more than chance would make it (positive-part James-Stein; Baranchik, Stanford technical report
    51, 1964): a single firefly adds nothing. Pixels share it in proportion to the square of their
    light: an error that grows with the light is corrected so by least squares.

    Args:
        noisy, clean: (H, W, C) float32, linear light.
    """
    light, missing = windows.planes(clean), windows.planes(noisy) - windows.planes(clean)
    power, mean = _around(light**2), _around(missing)
    chance = _around(missing**2).sum(0, keepdim=True) / _samples(mean)
    found = (mean**2).sum(0, keepdim=True)
    share = torch.where(found > chance, 1 - chance / found, 0.0)
    rate = torch.where(power > 0, share * mean / power, 0.0)
    height, width = clean.shape[:2]
    smooth = F.interpolate(rate[None], scale_factor=CELL, mode="bilinear", align_corners=False)
    kept = light * (1 + smooth[0, :, :height, :width] * light).clamp(min=0)
    return kept.permute(1, 2, 0).float().numpy()


def _around(planes: Tensor) -> Tensor:
    """(C, H, W) -> (C, h, w): the mean around each cell."""
    cells = F.avg_pool2d(planes[None], CELL, ceil_mode=True, count_include_pad=False)[0]
    return windows.mean(windows.mean(cells, RADIUS), RADIUS)


def _samples(means: Tensor) -> Tensor:
    """(C, h, w) -> (h, w): how many pixels count in each mean, at the least.

    One over the largest weight of one, so that what a single pixel adds is always put to chance.
    """
    reach = []
    for side in means.shape[1:]:
        place = torch.arange(side)
        cells = (place + RADIUS).clamp(max=side - 1) - (place - RADIUS).clamp(min=0) + 1
        least = -F.max_pool1d(-cells[None].float(), 2 * RADIUS + 1, 1, RADIUS)[0]
        reach.append(least)
    return CELL**2 * reach[0][:, None] * reach[1]
