"""Gaussian noise whose neighbours resemble each other, at a width drawn for each picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise import draw
from mdn.noise.types import Level, NoiseType

WIDTHS = 0.4, 2.0  # deviation of the Gaussian filter, pixels
REACH = 6


def correlated(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """Gaussian noise of sigma `level` / 255 after a Gaussian filter of random width.

    The width is drawn evenly by its logarithm from 0.4 to 2 pixels, for each picture; channels are
    independent.
    """
    height, width = x.shape[-2:]
    pictures = x.reshape(-1, x.shape[-3], height, width)
    shape = (*pictures.shape[:2], height + 2 * REACH, width + 2 * REACH)
    field = draw.normal(pictures, generator, shape)
    low, high = WIDTHS
    drawn = low * (high / low) ** draw.uniform(pictures, generator, (len(pictures),))
    place = torch.arange(-REACH, REACH + 1, device=x.device)
    rows = torch.exp(-0.5 * (place / drawn[:, None]) ** 2)
    rows = rows / rows.square().sum(1, keepdim=True).sqrt()  # the variance stays 1
    channels = pictures.shape[1]
    kernels = rows.repeat_interleave(channels, 0)
    field = field.reshape(1, -1, *shape[2:])
    field = F.conv2d(field, kernels[:, None, None], groups=len(kernels))
    field = F.conv2d(field, kernels[:, None, :, None], groups=len(kernels))
    return x + field.reshape(x.shape) * (draw.on_device(level, x) / 255)


CORRELATED = NoiseType(
    name="correlated",
    title="Gaussian noise, filtered",
    parameter="sigma",
    unit="0-255 scale, after the filter",
    levels=(5, 15, 30),
    default=15,
    limits=(0, 255),
    explanation=(
        "Gaussian noise after a Gaussian filter, so that neighbours resemble each other: what is "
        "left of noise after resizing, demosaicing or a codec. The width of the filter, 0.4 to 2 "
        "pixels, is drawn anew for each picture; the level is the standard deviation that remains."
    ),
    example="mdn noise photo.png -o noisy.png --type correlated --level 15",
    function=correlated,
)
