"""What clipping to [0, 1] takes from the variance of noise, and how to put it back.

A normal variable cut off at 0 has a mean and a deviation whose ratio depends on nothing but
z = mu / sigma; a table of that ratio gives z, and with it mu and sigma, back. The model is that of
Foi, "Clipped noisy images", Signal Processing 89 (2009). The cut at 1 is the mirror image.
"""

import math

import torch
from torch import Tensor

FARTHEST = 5.0  # sigmas from the cut beyond which it takes nothing
DEEPEST = -0.5  # sigmas on the wrong side of the cut where too little is left to tell


def _table() -> tuple[Tensor, Tensor]:
    """Mean and deviation after the cut, in deviations before it, on a grid of z."""
    z = torch.linspace(DEEPEST, FARTHEST, 551, dtype=torch.float64)
    density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    below = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
    mean = density + z * below
    deviation = ((z * z + 1) * below + z * density - mean * mean).sqrt()
    return mean, deviation


def unclipped_variance(mean: Tensor, variance: Tensor) -> Tensor:
    """The variance before clipping to [0, 1], given mean and variance after it, all (n,) float64.

    Only the nearer end is considered, which holds up to a sigma of a quarter of the range.
    """
    means, deviations = _table()
    distance = torch.minimum(mean, 1 - mean)
    kept = _read(means / deviations, deviations, distance / variance.clamp(min=1e-12).sqrt())
    return variance / kept**2


def _read(ratios: Tensor, deviations: Tensor, ratio: Tensor) -> Tensor:
    """The deviation that belongs to a ratio, between two entries of the table."""
    upper = torch.searchsorted(ratios, ratio.clamp(ratios[0], ratios[-1])).clamp(1, len(ratios) - 1)
    low, high = ratios[upper - 1], ratios[upper]
    part = ((ratio - low) / (high - low)).clamp(0, 1)
    return deviations[upper - 1] + part * (deviations[upper] - deviations[upper - 1])
