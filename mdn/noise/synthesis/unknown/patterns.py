"""Noise with a shape: stripes, large blotches of colour, blotches of black and white.

x (..., C, H, W) with a nominal range of [0, 1] in, the same shape out, not clipped.
"""

import math

import torch
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.types import Level

SHORTEST, LONGEST = 3.0, 16.0  # period of the stripes, pixels


def stripes(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + a sine wave + white normal noise, each with half the variance (level / 255)^2.

    Period (3 to 16 pixels, evenly by its logarithm), direction and phase are drawn for each
    picture; all channels share the wave. Electrical interference looks like this.
    """
    u = random_fields.uniform(x, generator, (3, *x.shape[:-3], 1, 1, 1))
    frequency = 1 / (SHORTEST * (LONGEST / SHORTEST) ** u[0])
    angle, phase = math.pi * u[1], 2 * math.pi * u[2]
    rows = torch.arange(x.shape[-2], device=x.device)[:, None]
    columns = torch.arange(x.shape[-1], device=x.device)[None]
    along = rows * torch.sin(angle) + columns * torch.cos(angle)
    wave = math.sqrt(2) * torch.sin(2 * math.pi * frequency * along + phase)
    both = (wave + random_fields.normal(x, generator)) / math.sqrt(2)
    return x + both * random_fields.sigma(level, x)


COLOUR_BLUR = 4.0  # pixels, sigma of the blotches' shape; training goes to 2
COMMON_REMOVED = 0.7  # share of the channels' mean that is taken out of the noise


def colour_blotches(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + blurred normal noise (Gaussian of 4 pixels) of standard deviation level / 255, coloured.

    70 % of what the channels have in common is taken out, so that between two of three channels
    the correlation is -0.44 and the blotches are more of colour than of brightness.
    """
    channels = x.shape[-3]
    field = random_fields.blurred_normal(x, generator, channels, COLOUR_BLUR)
    if channels > 1:
        removed = COMMON_REMOVED * (2 - COMMON_REMOVED) / channels
        field = field - COMMON_REMOVED * field.mean(-3, keepdim=True)
        field = field / math.sqrt(1 - removed)
    return x + field * random_fields.sigma(level, x)


IMPULSE_BLUR = 1.5  # pixels, sigma of the field whose extremes become blotches


def impulse_blotches(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """A share `level` of the pixels becomes 0 or 1 in all channels, in patches, not one by one.

    White where a blurred normal field of variance 1 lies above its quantile 1 - level / 2, black
    where it lies below -1 times that.
    """
    field = random_fields.blurred_normal(x, generator, 1, IMPULSE_BLUR)
    share = random_fields.on_device(level, x)
    threshold = torch.special.ndtri(1 - share / 2)  # infinite at 0: no pixel changes
    whitened = torch.where(field > threshold, torch.ones_like(x), x)
    return torch.where(field < -threshold, torch.zeros_like(x), whitened)
