"""How strong noise is at each pixel, where it depends on brightness.

A noise-conditioned net takes a map of sigmas as well as one number (FFDNet, Zhang et al.,
IEEE TIP 2018, section III-B).
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

REACH = 2  # pixels: brightness is the mean of so many on each side, so that noise averages out


def brightness(noisy: Tensor) -> Tensor:
    """Brightness (B, C, H, W) around each sample of a noisy picture, not below 0."""
    edge = F.pad(noisy, (REACH,) * 4, mode="replicate")
    return F.avg_pool2d(edge, 2 * REACH + 1, 1).clamp(min=0)


def sigma_map(noisy: Tensor, curve: Sequence[float | Tensor]) -> Tensor:
    """Standard deviation (B, 1, H, W) of noise whose variance at brightness b is that of a curve.

    curve: factors of 1, b, b^2 ...; the variance of a pixel is the mean of its channels'.
    """
    b = brightness(noisy)
    variance = sum(factor * b**power for power, factor in enumerate(curve))
    assert isinstance(variance, Tensor)
    return variance.mean(1, keepdim=True).clamp(min=0).sqrt()
