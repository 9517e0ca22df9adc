"""Gaussian noise whose neighbours resemble each other, at a width drawn for each picture."""

from __future__ import annotations

import torch
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.types import Level

WIDTHS = 0.4, 2.0  # deviation of the Gaussian filter, pixels


def correlated(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """Gaussian noise of sigma `level` / 255 after a Gaussian filter of random width.

    The width is drawn evenly by its logarithm from 0.4 to 2 pixels, for each picture; channels are
    independent.
    """
    pictures = x.reshape(-1, *x.shape[-3:])
    low, high = WIDTHS
    drawn = low * (high / low) ** random_fields.uniform(pictures, generator, (len(pictures),))
    fields = [
        random_fields.blurred_normal(picture, generator, len(picture), width)
        for picture, width in zip(pictures, drawn.tolist(), strict=True)
    ]
    return x + torch.stack(fields).reshape(x.shape) * random_fields.sigma(level, x)
