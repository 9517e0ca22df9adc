"""Samples that no filter may see, filled from their neighbours."""

from collections.abc import Sequence

import numpy as np
import torch

from mdn.pipeline import windows

RADII = (1, 2, 4, 8, 16, 64)
NEAR = RADII[:4]  # for a net, which makes nothing of what is deeper inside


def filled(pixels: np.ndarray, good: np.ndarray, radii: Sequence[int] = RADII) -> np.ndarray:
    """(H, W, C) float32, where not good the mean of good neighbours.

    The window grows by these radii until it holds a good sample. What has none so near becomes 0.
    """
    if good.all():
        return pixels
    known = torch.from_numpy(np.where(good, pixels, 0).transpose(2, 0, 1).astype(np.float64))
    there = torch.from_numpy(good.transpose(2, 0, 1).astype(np.float64))
    result, bad = known.clone(), there == 0
    for radius in radii:
        share = windows.mean(there, radius)
        found = bad & (share > 1e-9)
        result[found] = (windows.mean(known, radius) / share)[found]
        bad &= ~found
        if not bad.any():
            break
    return result.float().numpy().transpose(1, 2, 0)
