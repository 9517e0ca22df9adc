"""White noise whose distribution is not normal: long tails, or none.

x (..., C, H, W) with a nominal range of [0, 1] in, the same shape out, not clipped.
"""

import math

import torch
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.types import Level


def laplace(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + Laplace noise of standard deviation level / 255: scale b = sigma / sqrt(2)."""
    u = random_fields.uniform(x, generator) - 0.5
    # The inverse distribution function; |u| < 1/2 keeps the logarithm finite.
    magnitude = -torch.log1p(-2 * u.abs().clamp(max=0.5 - 1e-7))
    scale = random_fields.sigma(level, x) / math.sqrt(2)
    return x + u.sign() * magnitude * scale


def uniform(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + uniform noise of standard deviation level / 255: half width sqrt(3) sigma."""
    u = 2 * random_fields.uniform(x, generator) - 1
    return x + u * (math.sqrt(3) * random_fields.on_device(level, x) / 255)
