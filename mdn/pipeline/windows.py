"""Means over windows, and a local linear regression on guides: what the refinement is built of."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def planes(picture: np.ndarray) -> Tensor:
    """(H, W, C) -> (C, H, W) float64: moments of lamps need the digits and the range."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).double()


def mean(maps: Tensor, radius: int) -> Tensor:
    """The mean of (C, H, W) over windows of 2 radius + 1 pixels a side; less at the borders."""
    size = 2 * radius + 1
    across = F.avg_pool2d(maps[None], (1, size), 1, (0, radius), count_include_pad=False)
    return F.avg_pool2d(across, (size, 1), 1, (radius, 0), count_include_pad=False)[0]


def regress(target: Tensor, guides: Tensor, weights: Tensor, radius: int, ridge: float) -> Tensor:
    """A target as a linear function of guides, one in each window; overlapping windows averaged.

    The guided filter (He, Sun & Tang 2013, section 3.6: guides of several channels), with weights
    as first-order regression of renders has them (Bitterli et al., "Nonlinearly Weighted
    First-order Regression for Denoising Monte Carlo Renderings", EGSR 2016).

    Args:
        target: (K, H, W). guides: (D, H, W), each about 0..1; D may be 0.
        weights: (1, H, W), positive: how far to trust each pixel of the target.
        radius: of the windows.
        ridge: variance of a guide below which it explains little.

    Returns:
        (K, H, W).
    """
    count, (depth, height, width) = target.shape[0], guides.shape
    total = mean(weights, radius)
    offset = mean(target * weights, radius) / total
    if not depth:
        return mean(offset, radius)
    centre = mean(guides * weights, radius) / total
    upper = [(i, j) for i in range(depth) for j in range(i, depth)]
    products = torch.stack([guides[i] * guides[j] for i, j in upper]) * weights
    moments = mean(products, radius) / total
    covariance = torch.empty(height, width, depth, depth, dtype=target.dtype)
    for at, (i, j) in enumerate(upper):
        covariance[..., i, j] = covariance[..., j, i] = moments[at] - centre[i] * centre[j]
    covariance += ridge * torch.eye(depth, dtype=target.dtype)
    crossed = (guides[:, None] * target[None] * weights).flatten(0, 1)
    cross = mean(crossed, radius) / total - (centre[:, None] * offset[None]).flatten(0, 1)
    cross = cross.reshape(depth, count, height, width).permute(2, 3, 0, 1)
    slopes = torch.linalg.solve(covariance, cross).permute(2, 3, 0, 1)
    offset = offset - (slopes * centre[:, None]).sum(0)
    slopes = mean(slopes.flatten(0, 1), radius).reshape(depth, count, height, width)
    return mean(offset, radius) + (slopes * guides[:, None]).sum(0)


_NEAR = ((0, 1), (1, 0), (1, 1), (1, -1))  # the half of the eight neighbours; both ways are used


def structure(difference: Tensor) -> Tensor:
    """How much of a difference (1, H, W) between two pictures is structure, not noise: 0 to 1.

    What is drawn anew for each pixel does not agree with its neighbours; an edge agrees along its
    own direction, a surface along all. So the share is the largest correlation with a neighbour,
    over four directions, in a soft window.
    """
    smooth = lambda maps: mean(mean(maps, 2), 2)  # noqa: E731
    whole = smooth(difference**2) + 1e-7
    best = torch.full_like(whole, -1.0)
    height, width = difference.shape[1:]
    # Mirrored, for a border repeated would agree with itself; one pixel has no other to mirror.
    mode = "reflect" if min(height, width) > 1 else "replicate"
    grown = F.pad(difference[None], (1, 1, 1, 1), mode=mode)[0]
    for down, across in _NEAR:
        pair = [
            grown[:, 1 + s * down : 1 + s * down + height, 1 + s * across : 1 + s * across + width]
            for s in (1, -1)
        ]
        best = torch.maximum(best, smooth(difference * (pair[0] + pair[1]) / 2) / whole)
    return best


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
        share = mean(there, radius)
        found = bad & (share > 1e-9)
        result[found] = (mean(known, radius) / share)[found]
        bad &= ~found
        if not bad.any():
            break
    return result.float().numpy().transpose(1, 2, 0)
