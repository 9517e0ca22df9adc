"""Random dither: few levels, and each sample at one of the two around the truth, by chance.

Few levels alone are a drawing or a posterised photograph: there, equal samples lie together. Under
dither each sample is drawn for itself, so that neighbours differ as often as chance has it. In
halftones and error diffusion they differ more often.
"""

import numpy as np
from torch import Tensor

MOST_LEVELS = 32  # 5 bits; the noise of more levels is faint
ROUNDING = 0.6 / 255  # of white: how far levels stored in 8 bits may lie from even ones
BLOCK = 8  # pixels a side: hardly any picture passes more than two levels in so few
MIXED = 0.15  # least share of either level in a block; of fewer samples chance says little
FEWEST = 0.05  # share of all blocks that are mixed; of fewer the rest is a drawing
# Unequal neighbours over those expected by chance: drawings have fewer, halftones and error
# diffusion more.
CHANCE = (0.8, 1.15)
DEVIATION = 0.41  # of dither over its step: sqrt(1 / 6), if all fractions are as frequent


def step(sample: Tensor) -> float:
    """The distance of the levels of a picture (C, H, W) under random dither; 0 if it is none."""
    few = len(np.unique(sample[:, ::BLOCK].numpy())) <= MOST_LEVELS  # which most fail, quickly
    if min(sample.shape[1:]) < 8 * BLOCK or not few:
        return 0.0
    levels = np.unique(sample.numpy())
    if not 2 <= len(levels) <= MOST_LEVELS:
        return 0.0
    between = np.diff(levels)
    count = np.rint((levels[-1] - levels[0]) / between.min())
    even = (levels[-1] - levels[0]) / count
    place = (levels - levels[0]) / even
    if even < 2 * ROUNDING or (abs(place - np.rint(place)) * even).max() > ROUNDING:
        return 0.0
    numbers = ((sample - float(levels[0])) / float(even)).round()
    unequal, expected = _neighbours(numbers)
    by_chance = [
        CHANCE[0] * float(e.sum()) < float(u.sum()) < CHANCE[1] * float(e.sum())
        for u, e in ((unequal[half::2], expected[half::2]) for half in (0, 1))
    ]
    blocks = sample.numel() / BLOCK**2
    return float(even) if all(by_chance) and len(unequal) > FEWEST * blocks else 0.0


def _neighbours(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Of blocks that hold two levels, one above the other: pairs side by side that differ, and how
    many would by chance; (n,) each."""
    blocks = numbers.unfold(1, BLOCK, BLOCK).unfold(2, BLOCK, BLOCK).flatten(0, 2)
    above = blocks - blocks.amin((1, 2), keepdim=True)
    share = above.mean((1, 2))
    mixed = (above.amax((1, 2)) == 1) & (share > MIXED) & (share < 1 - MIXED)
    above, share = above[mixed], share[mixed]
    unequal = (above.diff(dim=1) != 0).sum((1, 2)) + (above.diff(dim=2) != 0).sum((1, 2))
    pairs, samples = 2 * BLOCK * (BLOCK - 1), BLOCK**2
    return unequal.float(), pairs * 2 * share * (1 - share) * samples / (samples - 1)
