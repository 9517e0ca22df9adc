"""Planes beside one, averaged into it where they show the same, before the net.

What a neighbour shows at a place (`pipeline.matching`) counts as far as it differs by no more than
the noise of both explains. Shifts were chosen for small differences of pixels, so that these say
little; means over growing windows, in which noise vanishes and a true difference does not, still
tell what is alike by chance. A neighbour that differs in most places around counts for nothing.

The idea is that of Buades, Lisani & Miladinovic, "Patch-based video denoising with optical flow
estimation" (IEEE TIP 2016), section III. In place of their principal components of patches comes
one average, and a net that is told at each pixel what noise is left.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.pipeline import matching
from mdn.pipeline.matching import box

# Radii, in blocks of 2 x 2 pixels: of means, and of the windows in which they are compared. None:
# the pixels themselves. The second is for what is as small as a spot.
TESTS = ((None, 2), (1, 0), (1, 2), (2, 3), (4, 5), (8, 8))
DOUBT, REJECTED = 2.0, 4.5  # standard errors by which a difference is too large: from, and up to
REGION = 14  # blocks to each side, in which..
AGREES = 0.6, 0.85  # ..this share must pass for anything to count, and for all to count..
# ..and where differences too small for one place add up: by radius of the means, how many times
# the noise what passes may be, to count, and to count for nothing.
REGIONAL = ((1, 1.25, 1.6), (2, 1.3, 1.7))
_BLOCKS = max(8 + 8, 4 + 5) + REGION + 2 + 2  # one after the other, and the way back to pixels
REACH = matching.REACH + 2 * _BLOCKS  # pixels around a place that its result depends on
MULTIPLE = matching.MULTIPLE
SMALLEST = 32  # pixels a side of a plane, below which there is no region to compare


def fused(plane: Tensor, others: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """A plane with its neighbours averaged in, and the share of the noise's deviation left.

    One neighbour after the other, so that many take no more memory than one.

    Args:
        plane: (B, 1, H, W), encoded; H and W multiples of MULTIPLE.
        others: (B, K, H, W), likewise, NaN where they show nothing.
        sigma: of the noise of all of them, white, encoded.

    Returns:
        Both (B, 1, H, W); the share is 1 where no neighbour counts.
    """
    x = plane / sigma
    total, power, change = torch.ones_like(x), torch.ones_like(x), torch.zeros_like(x)
    for other in others.split(1, 1):
        weight, difference = compared(x, other / sigma)
        change += weight * difference
        total += weight
        power += weight.square_()
    return plane + sigma * change / total, power.sqrt_() / total


def compared(plane: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """How much of a neighbour counts at each pixel, 0..1, and its difference there, moved.

    Both (B, 1, H, W), noise of deviation 1; the other NaN where it shows nothing.
    """
    gaps = other.isnan()
    other = torch.where(gaps, plane, other)
    shifts = matching.match(plane, other)
    usable = shifts.inside(*plane.shape[2:]) & ~shifts.fetch(gaps)
    difference = (shifts.fetch(other) - plane).masked_fill_(~usable, 0.0)
    return weights(difference).mul_(usable), difference


def weights(difference: Tensor) -> Tensor:
    """How much of a neighbour counts, 0..1, by its difference (B, 1, H, W) over the noise of each.

    The difference has variance 2 where both show the same.
    """
    blocks, squares = F.avg_pool2d(difference, 2), F.avg_pool2d(difference.square(), 2)
    weight = torch.ones_like(blocks)
    for radius, window in TESTS:
        if radius is None:
            power, samples = box(squares, window) / 2, 4.0 * (2 * window + 1) ** 2
        else:
            power = box(_power(blocks, radius), window)
            samples = _independent(radius, window)
        errors = (power - 1) * (samples / 2) ** 0.5  # a chi-square over its samples has 2 / samples
        weight = torch.minimum(weight, _falling(errors, DOUBT, REJECTED))
    share = box(weight, REGION)
    region = 1 - _falling(share, *AGREES)
    for radius, most, none in REGIONAL:
        passed = box(weight * _power(blocks, radius), REGION) / (share + 1e-3)
        region = region * _falling(passed, most, none)
    smooth = box(weight * region, 1)
    return F.interpolate(smooth, scale_factor=2, mode="bilinear", align_corners=False)


def _power(blocks: Tensor, radius: int) -> Tensor:
    """Squares of means of blocks, whose own variance is 1/2, over what noise alone would have."""
    return box(blocks, radius).square_().mul_(2.0 * (2 * radius + 1) ** 2)


def _independent(radius: int, window: int) -> float:
    """How many independent means a window holds, roughly: those of a box overlap."""
    return max(1.0, ((2 * window + 1) / (0.67 * (2 * radius + 1) + 0.33)) ** 2)


def _falling(x: Tensor, start: float, stop: float) -> Tensor:
    """1 up to `start`, 0 from `stop` on."""
    return ((stop - x) / (stop - start)).clamp_(0, 1)
