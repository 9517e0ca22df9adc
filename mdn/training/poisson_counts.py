"""Fluorescence to train on: photons counted, read out, and stabilised as `counts` files are.

A clean picture becomes a mean number of photons, Poisson and read noise are drawn, and the
generalised Anscombe transform brings both pictures to where the net works, in the unit of the noise
and about the middle value, as `encoding.Counts` does. What is left there of the photons - steps and
skew, where there are few - is part of what the net learns.
"""

import torch
from torch import Tensor

from mdn.encoding import Anscombe
from mdn.encoding.counts import SIGMAS
from mdn.noise.synthesis.development import blur
from mdn.training.counted_light import simulated

DARKER = 1.0, 3.0  # powers of the clean picture: cells are bright on dark, photographs are not
GLOW = 0.15  # the most background, as a share of white
READ = 2.5  # the most read noise, in photons
SIMULATED = 0.25  # share of the pictures: cells, filaments and puncta
BLURRED = 0.5  # share of the rest that goes through a PSF
PSF = 0.4, 2.0  # its deviation, pixels; evenly drawn by its logarithm
# No photograph is without noise and rounding of its own, which bright light would show and the net
# would have to keep: where its white is brighter than this sigma on the 0-255 scale tells, a PSF of
# at least so many pixels takes it out.
OWN_NOISE, WIDE = 5.0, 0.8


def draw(clean: Tensor, low: float, high: float, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Noisy and clean (B, 1, H, W), stabilised, and the noise's level (B, 1, 1, 1).

    Args:
        clean: (B, 1, H, W) in 0..1, linear.
        low, high: standard deviation of the noise on the 0-255 scale of the range from black to
            white, above 0; evenly drawn by its logarithm.
    """
    dice = torch.rand(len(clean), 4, generator=generator)
    triples = [
        _one(picture, low * (high / low) ** float(d[0]), d[1:], generator)
        for picture, d in zip(clean, dice, strict=True)
    ]
    noisy, target, level = (torch.stack(part) for part in zip(*triples, strict=True))
    return noisy.to(clean), target.to(clean), level.to(clean).reshape(-1, 1, 1, 1)


def _one(
    picture: Tensor, sigma: float, dice: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    power, glow, read = (float(value) for value in dice)
    shown = _scene(picture, sigma, generator) ** (DARKER[0] + (DARKER[1] - DARKER[0]) * power)
    shown = GLOW * glow + (1 - GLOW * glow) * shown / shown.max().clamp(min=0.05)
    read = READ * read**2  # mostly little
    curve = Anscombe(1.0, read**2)
    # Photons at white, where that lies 255 / sigma deviations of the noise above none.
    root = 127.5 / sigma + (3 / 8 + read**2) ** 0.5
    photons = (root**2 - 3 / 8 - read**2) * shown
    counted = torch.poisson(photons, generator)
    counted = counted + read * torch.randn(photons.shape, generator=generator)
    noisy, target = curve.forward(counted), curve.mean(photons)
    centre = noisy.median()
    noisy, target = ((values - centre) / SIGMAS + 0.5 for values in (noisy, target))
    return noisy, target, torch.tensor(1 / SIGMAS)


def _scene(picture: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """The light of a picture (1, H, W), 0..1, as a lens shows it, or that of simulated cells."""
    simulate, through, width = torch.rand(3, generator=generator).tolist()
    if simulate < SIMULATED:
        height, wide = picture.shape[1:]
        top, left = height // 2, wide // 2
        light = simulated(generator, 2 * max(height, wide))
        return light[None, top : top + height, left : left + wide]
    own = sigma * float(picture.max()) < OWN_NOISE
    if not own and through >= BLURRED:
        return picture.cpu()
    least = WIDE if own else PSF[0]
    deviation = least * (PSF[1] / least) ** width
    return blur(picture.cpu(), deviation).clamp(min=0)
