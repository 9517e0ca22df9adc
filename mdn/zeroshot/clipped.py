"""What cutting off at 0 and 1 makes of the mean of noisy samples.

A net that learns from samples that were cut off would learn their mean, too bright near black and
too dark near white. So its guess goes through the same cut before it is compared.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_ROOT = math.sqrt(2)


def clipped_mean(x: Tensor, curve: tuple[float, float, float]) -> Tensor:
    """E[clip(x + n, 0, 1)] for normal n of variance a + b x + c x^2 (Foi 2009, section 2).

    Args:
        x: clean brightness, any shape; gradients pass.
        curve: (a, b, c), none below 0.
    """
    a, b, c = curve
    bright = x.detach().clamp(0, 1)
    sigma = (a + b * bright + c * bright**2).clamp(min=1e-8).sqrt()
    low, high = -x / sigma, (1 - x) / sigma
    below, above = _normal(low), 1 - _normal(high)
    return x * (1 - below - above) + sigma * (_density(low) - _density(high)) + above


def _normal(z: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(z / _ROOT))


def _density(z: Tensor) -> Tensor:
    return torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
