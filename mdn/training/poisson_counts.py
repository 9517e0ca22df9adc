"""Fluorescence to train on: photons counted, read out, and stabilised as `counts` files are.

A clean picture becomes a mean number of photons, Poisson and read noise are drawn, and the
generalised Anscombe transform brings both pictures to where the net works. What is left there of
the photons - steps and skew, where there are few - is part of what the net learns.
"""

import torch
from torch import Tensor

from mdn.encoding import Anscombe

DARKER = 1.0, 3.0  # powers of the clean picture: cells are bright on dark, photographs are not
GLOW = 0.15  # the most background, as a share of white
READ = 2.5  # the most read noise, in photons


def draw(clean: Tensor, low: float, high: float, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Noisy and clean (B, 1, H, W), stabilised, and the noise's level (B, 1, 1, 1).

    Args:
        clean: (B, 1, H, W) in 0..1, linear.
        low, high: standard deviation of the noise of the result on the 0-255 scale, evenly drawn.
    """
    dice = torch.rand(len(clean), 4, generator=generator)
    triples = [
        _one(picture, low + (high - low) * float(d[0]), d[1:], generator)
        for picture, d in zip(clean, dice, strict=True)
    ]
    noisy, target, level = (torch.stack(part) for part in zip(*triples, strict=True))
    return noisy.to(clean), target.to(clean), level.to(clean).reshape(-1, 1, 1, 1)


def _one(
    picture: Tensor, sigma: float, dice: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    power, glow, read = (float(value) for value in dice)
    shown = picture.cpu() ** (DARKER[0] + (DARKER[1] - DARKER[0]) * power)
    shown = GLOW * glow + (1 - GLOW * glow) * shown / shown.max().clamp(min=0.05)
    read = READ * read**2  # mostly little
    curve = Anscombe(1.0, read**2)
    # Photons at white, where that lies 255 / sigma deviations of the noise above none.
    root = 127.5 / max(sigma, 0.5) + (3 / 8 + read**2) ** 0.5
    photons = (root**2 - 3 / 8 - read**2) * shown
    counted = torch.poisson(photons, generator)
    counted = counted + read * torch.randn(photons.shape, generator=generator)
    noisy, target = curve.forward(counted), curve.mean(photons)
    # As the range of a file: from the darkest to the brightest of the noisy samples, all but a few.
    edges = torch.quantile(noisy, torch.tensor([0.001, 0.999]))
    span = (edges[1] - edges[0]).clamp(min=1.0)
    return (noisy - edges[0]) / span, (target - edges[0]) / span, 1 / span
