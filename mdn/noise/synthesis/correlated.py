"""Gaussian noise whose neighbours resemble each other, at a width drawn for each picture."""

from __future__ import annotations

import torch
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.types import Level, NoiseType

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


CORRELATED = NoiseType(
    name="correlated",
    title="Gaussian noise, filtered",
    unit="0-255 scale, after the filter",
    levels=(5, 15, 30),
    default=15,
    explanation=(
        "Gaussian noise after a Gaussian filter, so that neighbours resemble each other: what is "
        "left of noise after resizing, demosaicing or a codec. The width of the filter, 0.4 to 2 "
        "pixels, is drawn anew for each picture; the level is the standard deviation that remains."
    ),
    function=correlated,
)
