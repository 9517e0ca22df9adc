"""Photographs for renders to learn detail from: laid over their surfaces, or noisy themselves.

Scenes made of numbers have little fine texture, and a net that has seen nothing else takes texture
for noise. A photograph laid over a scene multiplies the noisy light, the light it is compared with
and the albedo by the same factors, so that the noise stays that of path tracing. Laid over the
light alone it stands for what no guide shows: reflections, shadows, what is behind glass.

A photograph may also be the light itself, under noise that is skewed as path tracing's is and of
any strength: that is how the net learns to leave alone what is nearly clean.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.training.data import Crops

LAID = 0.5  # share of the crops of scenes that a photograph is laid over..
GUIDED = 0.65  # ..and share of those where the albedo shows it
ALONE = 0.25  # share of the crops that are photographs under noise
FILTERED = 0.4  # share of the crops of scenes whose neighbours share samples
SMOOTH = 0.25, 0.65  # deviation of the reconstruction filter, pixels
GAMMA = 2.2
DARK = 0.03  # the least that a photograph reflects
LEAST_ALBEDO = 0.05  # below which a surface is a mirror, a lamp or nothing
MOST = 8.0  # the strongest factor of a texture, and its inverse
NOISE = 0.03, 1.2  # relative deviation of the noise on photographs
COLOURED = 0.3  # of it the part that differs between colours


class Textures:
    """Crops of photographs, and what is made of them."""

    def __init__(self, crops: Crops) -> None:
        self.crops = crops

    def _draw(self, generator: torch.Generator) -> Tensor:
        """(3, H, W) linear, DARK..1."""
        shown = self.crops.draw(1, generator)[0]
        return DARK + (1 - DARK) * shown**GAMMA

    def lay(self, pair: Tensor, generator: torch.Generator) -> Tensor:
        """(2, 9, H, W) of a scene, at times with a photograph laid over it."""
        laid, guided = torch.rand(2, generator=generator).tolist()
        if laid >= LAID:
            return pair
        photo = self._draw(generator).to(pair)
        if guided >= GUIDED:
            factor = (photo / photo.mean()).clamp(1 / MOST, MOST)
            return torch.cat([pair[:, :3] * factor, pair[:, 3:]], 1)
        albedo = pair[:, 3:6].mean(0)
        surface = albedo.mean(0, keepdim=True) > LEAST_ALBEDO
        factor = (photo / albedo.clamp(min=LEAST_ALBEDO)).clamp(1 / MOST, MOST)
        factor = torch.where(surface, factor, torch.ones_like(factor))
        light, shown = pair[:, :3] * factor, (pair[:, 3:6] * factor).clamp(-1, 2)
        return torch.cat([light, shown, pair[:, 6:]], 1)

    def alone(self, generator: torch.Generator) -> Tensor:
        """(2, 9, H, W): a photograph in uneven light under noise, and clean; half with albedo."""
        photo = self._draw(generator)
        light = photo * torch.exp(_uneven(photo, generator))
        light = light * (0.18 / light.clamp(min=1e-3).log().mean().exp())
        low, high = NOISE
        strength = low * (high / low) ** torch.rand((), generator=generator)
        strength = strength * torch.exp(0.5 * _uneven(photo, generator))
        gray = torch.randn(1, *photo.shape[1:], generator=generator)
        page = gray + COLOURED * torch.randn(photo.shape, generator=generator)
        spread = strength * page / math.sqrt(1 + COLOURED**2)
        noisy = light * torch.exp(spread - strength**2 / 2)  # its mean is the light
        guides = torch.zeros(6, *photo.shape[1:])
        if torch.rand((), generator=generator) < 0.5:
            guides[:3] = photo
        return torch.stack([torch.cat([noisy, guides]), torch.cat([light, guides])])


def filtered(pair: Tensor, generator: torch.Generator) -> Tensor:
    """(2, 9, H, W), at times as renderers give it whose filters reach over to other pixels.

    Mitsuba's scenes are rendered with a box, where pixels share no sample; Gaussian and tent
    filters are usual elsewhere, and noise is then smooth.
    """
    share, width = torch.rand(2, generator=generator).tolist()
    if share >= FILTERED:
        return pair
    sigma = SMOOTH[0] + (SMOOTH[1] - SMOOTH[0]) * width
    side = math.exp(-0.5 / sigma**2)
    row = torch.tensor([side, 1.0, side]) / (1 + 2 * side)
    kernel = (row[:, None] * row[None]).to(pair).expand(pair.shape[1], 1, 3, 3)
    grown = F.pad(pair, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(grown, kernel, groups=pair.shape[1])


def _uneven(like: Tensor, generator: torch.Generator) -> Tensor:
    """(1, H, W): a smooth field of about unit deviation."""
    coarse = torch.randn(1, 1, 4, 4, generator=generator)
    size = (int(like.shape[1]), int(like.shape[2]))
    return F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)[0]
