"""Hot and dead pixels of a sensor, before anything is denoised."""

from __future__ import annotations

from torch import Tensor

from mdn.noise.analysis import impulses


def fix_hot_pixels(x: Tensor, sigma: float) -> Tensor:
    """(B, 1, H, W) with single pixels that stick out replaced from their neighbours.

    sigma: standard deviation of the noise of x; 0: it is not known, and nothing is done.
    """
    return impulses.fix_hot_pixels(x, sigma) if sigma else x
