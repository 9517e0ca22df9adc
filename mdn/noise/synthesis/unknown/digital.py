"""Noise of digital pictures before or without processing: a raw mosaic, and few grey levels.

x (..., C, H, W) with a nominal range of [0, 1] in, the same shape out, not clipped.
"""

import torch
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.demosaic import bayer_masks
from mdn.noise.synthesis.types import Level

GAINS = (2.0, 1.0, 1.6)  # white balance of red, green and blue
SHOT_SHARE = 0.8  # of the green variance at mid-gray; the rest is read noise


def raw_mosaic(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + the noise of a white-balanced Bayer mosaic (RGGB) that was not demosaiced.

    With s = level / 255 and g the gain of a cell's colour, a cell of value x has the variance
    s^2 (1.6 g x + 0.2 g^2): s^2 for green at mid-gray. In RGB pictures a cell's noise is in the
    channel of its colour, and the other two of that pixel have none; pictures of another number of
    channels take the pattern of the gains in all channels.
    """
    cells = bayer_masks(*x.shape[-2:]).to(x.device)
    gains = torch.tensor(GAINS, device=x.device).view(3, 1, 1)
    if x.shape[-3] != 3:
        gains = (cells * gains).sum(0, keepdim=True)
        cells = cells.sum(0, keepdim=True)
    shot = 2 * SHOT_SHARE * gains * x.clamp(min=0)
    deviation = (shot + (1 - SHOT_SHARE) * gains**2).sqrt()
    return x + random_fields.normal(x, generator) * deviation * cells * random_fields.sigma(
        level, x
    )


def dither(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x rounded to 2^level values, after uniform noise of one step was added. Level: bits.

    Random dither: the mean is x exactly, the variance step^2 f (1 - f) where x lies a share f of a
    step above a value that can be stored. Values beyond [0, 1] are rounded to the same grid.
    """
    steps = 2 ** random_fields.on_device(level, x) - 1
    return torch.floor(x * steps + random_fields.uniform(x, generator)) / steps
