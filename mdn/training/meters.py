"""Training a net that says how strong the noise of a picture is: see nets.meter.

Crops at many scales, from a camera's soft pixels to the dense texture of a reduced picture, get
noise or none, and often go through a codec. What is to be said is the deviation of what the noise
changed: of a coded picture, against the same picture coded without noise. So what a codec alone
does to a picture counts as none. Some are enlarged, noise and all: neighbours then share it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn import noise
from mdn.nets import meter
from mdn.noise.composite import jpeg
from mdn.training.corrupt import MIDDLE, Sample, draw_contrast, draw_row, generator_for, toss
from mdn.training.data import Crops
from mdn.training.recipe import JpegRecipe, Recipe
from mdn.training.watch import Watch

TOLERANCE = 0.3  # error in log2 below which the loss is quadratic
ZOOM = 1.2, 3.0  # of noisy pictures that are enlarged
GRAY_NOISE = 0.15  # share of the groups whose channels share the noise


def draw_group(recipe: Recipe, crops: Crops, step: int, group: int) -> Sample:
    """The crops of one group, all with one kind of noise; `level` on the 0-255 scale."""
    generator = generator_for(recipe.seed, step, group)
    count = recipe.optim.batch // recipe.optim.groups
    clean = crops.draw(count, generator)
    if toss(generator) < recipe.data.gray:
        clean = clean.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    contrast = draw_contrast(recipe, count, generator).to(clean.device)
    clean = MIDDLE + (clean - MIDDLE) * contrast
    row = draw_row(recipe, generator)
    spread = torch.rand(count, 1, 1, 1, generator=generator).to(clean.device)
    noisy = noise.add(clean, row.kind, row.low + (row.high - row.low) * spread, generator)
    if toss(generator) < GRAY_NOISE:
        noisy = clean + (noisy - clean).mean(1, keepdim=True)
    if recipe.data.enlarged and toss(generator) < recipe.data.enlarged:
        zoom = ZOOM[0] * (ZOOM[1] / ZOOM[0]) ** toss(generator)
        noisy, clean = (_enlarged(x, zoom) for x in (noisy, clean))
    coded = toss(generator) < recipe.jpeg.share
    if coded or toss(generator) < recipe.clip_share:
        noisy, clean = (_rounded(x) for x in (noisy, clean))
    if coded:
        noisy, clean = _coded(recipe.jpeg, noisy, clean, generator)
    level = 255 * (noisy - clean).square().mean((1, 2, 3), keepdim=True).sqrt()
    seeds = torch.zeros(count, dtype=torch.int64, device=clean.device)
    return Sample(noisy, clean, None, level, seeds)


def loss(said: Tensor, sample: Sample) -> Tensor:
    """Of what the net says of the crops, (B,)."""
    return F.smooth_l1_loss(said.float(), meter.said(sample.level.flatten()), beta=TOLERANCE)


class MeterWatch(Watch):
    """Mean error of the level, 0-255 scale, on held-out pictures; one figure a row of the recipe.

    A row of level 0 counts the noise of clean pictures, which is all error. Noisy pictures are
    clipped and rounded to 8 bits.
    """

    title = "held-out training pictures, mean error of the level of 0-255"

    @torch.no_grad()
    def measure(self, net: nn.Module, autocast: torch.autocast) -> dict[str, float]:
        """{row: mean error}."""
        scores = {}
        for name, (kind, level) in zip(self.names(), self.rows, strict=True):
            errors = []
            for index, clean in enumerate(self.clean):
                noisy = _rounded(noise.add(clean, kind, level, generator_for(0, index, 0)))
                true = 255 * float((noisy - clean).square().mean().sqrt())
                with autocast:
                    found = float(meter.level(net(noisy[None].to(self.device)))[0])
                errors.append(abs(found - true))
            scores[name] = sum(errors) / len(errors)
        return scores


def _enlarged(x: Tensor, zoom: float) -> Tensor:
    """A corner of (B, C, H, W), and its noise with it, made as large as the whole; bicubic."""
    height, width = (max(1, round(length / zoom)) for length in x.shape[2:])
    corner = x[..., :height, :width]
    return F.interpolate(corner, x.shape[2:], mode="bicubic", align_corners=False)


def _rounded(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round() / 255


def _coded(
    recipe: JpegRecipe, noisy: Tensor, clean: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Both through a JPEG of one quality for each crop."""
    spread = torch.rand(len(clean), generator=generator)
    quality = recipe.low + (recipe.high - recipe.low) * spread
    halved = toss(generator) < recipe.halved
    return jpeg(noisy, quality, halved=halved), jpeg(clean, quality, halved=halved)
