"""What is done to a clean crop before the net sees it: noise, clipping, and masks.

Every random choice of a step comes from generators seeded by (seed, step, group). A resumed run
therefore equals an unbroken one, and two processes that share the groups equal one that draws all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mdn import noise
from mdn.encoding import Anscombe
from mdn.encoding.counts import SIGMAS
from mdn.nets.masking import draw_seeds
from mdn.noise.synthesis.development import blur
from mdn.training.counted_light import simulated
from mdn.training.data import Crops
from mdn.training.recipe import PHOTONS, NoiseRecipe, Recipe

IMPULSIVE = ("salt-pepper", "fireflies")
MIDDLE = 0.5  # contrast is lowered and raised about mid-gray


@dataclass(frozen=True)
class Sample:
    """A group of crops."""

    noisy: Tensor  # (B, C, H, W)
    clean: Tensor
    # (B, 1, H, W), or (B, C, H, W) where the recipe masks single samples; 1 where the net may look,
    # or None: no mask
    visible: Tensor | None
    # (B, 1, 1, 1), the noise's standard deviation as a noise-conditioned net takes it; None: for a
    # net that takes none
    level: Tensor | None
    seeds: Tensor  # (B,) int64, for nets that draw masks of their own
    guide: Tensor | None = None  # (B, G, H, W) for a guided net, or None
    # (B, C, H, W), for nets with a judge, what the noise changed: against the clean crop as it
    # would have been stored, so that a codec's own errors are no noise
    added: Tensor | None = None
    impulsive: Tensor | None = None  # (B, 1, 1, 1) bool, for such nets: whether impulses were added

    def to(self, device: torch.device) -> Sample:
        """The same on a device."""
        there: dict[str, Any] = {k: x.to(device) for k, x in vars(self).items() if x is not None}
        return replace(self, **there)


def join_groups(groups: list[Sample]) -> Sample:
    """The groups as one batch; a group without a mask shows every pixel."""
    planes = max((g.visible.shape[1] for g in groups if g.visible is not None), default=0)

    def joined(*parts: Tensor | None) -> Tensor | None:
        tensors = [part for part in parts if part is not None]
        return torch.cat(tensors) if tensors else None

    def visible(g: Sample) -> Tensor:
        return torch.ones_like(g.noisy[:, :planes]) if g.visible is None else g.visible

    return Sample(
        noisy=torch.cat([g.noisy for g in groups]),
        clean=torch.cat([g.clean for g in groups]),
        visible=torch.cat([visible(g) for g in groups]) if planes else None,
        level=joined(*(g.level for g in groups)),
        seeds=torch.cat([g.seeds for g in groups]),
        guide=joined(*(g.guide for g in groups)),
        added=joined(*(g.added for g in groups)),
        impulsive=joined(*(g.impulsive for g in groups)),
    )


def generator_for(seed: int, step: int, group: int) -> torch.Generator:
    """A CPU generator for one group of one step."""
    # Large odd factors keep neighbouring (seed, step, group) triples far apart.
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + group * 0x94D049BB133111EB) % (
        1 << 63
    )
    return torch.Generator().manual_seed(mixed)


def draw_group(recipe: Recipe, crops: Crops, step: int, group: int) -> Sample:
    """The crops of one group, all with one kind of noise, each with its own level."""
    generator = generator_for(recipe.seed, step, group)
    count = recipe.optim.batch // recipe.optim.groups
    clean = crops.draw(count, generator)
    single = recipe.channels == 1
    gray = single or uniform(generator) < recipe.data.gray
    if gray:
        clean = clean.mean(1, keepdim=True)
    contrast = draw_contrast(recipe, count, generator).to(clean.device)
    row = draw_row(recipe, generator)
    if row.kind == PHOTONS:  # contrast and clipping are then those of counted light
        return _draw_counts(recipe, row, clean, generator)
    clean = MIDDLE + (clean - MIDDLE) * contrast
    noisy, level = _add_noise(recipe, row, clean, contrast, generator)
    # Back at the picture's own contrast, and the level with it: otherwise the loss would be that of
    # the crops of high contrast. To a net that scales with its input it is the same task.
    clean, noisy = (MIDDLE + (x - MIDDLE) / contrast for x in (clean, noisy))
    level = level / contrast
    if gray and not single:
        clean, noisy = clean.expand(-1, 3, -1, -1), noisy.expand(-1, 3, -1, -1)
    visible = draw_masks(recipe, clean, generator)
    return Sample(noisy, clean, visible, level, draw_seeds(count, generator).to(clean.device))


def uniform(generator: torch.Generator) -> float:
    """A number in [0, 1)."""
    return torch.rand((), generator=generator).item()


def draw_contrast(recipe: Recipe, count: int, generator: torch.Generator) -> Tensor:
    """(count, 1, 1, 1) factors on the contrast, evenly spread over low..high by their logarithm."""
    low, high = recipe.contrast.low, recipe.contrast.high
    if uniform(generator) >= recipe.contrast.share:
        return torch.ones(count, 1, 1, 1)
    return low * (high / low) ** torch.rand(count, 1, 1, 1, generator=generator)


def draw_row(recipe: Recipe, generator: torch.Generator) -> NoiseRecipe:
    """One of the recipe's kinds of noise, by their weights."""
    weights = torch.tensor([row.weight for row in recipe.noise])
    return recipe.noise[int(torch.multinomial(weights, 1, generator=generator))]


def _add_noise(
    recipe: Recipe, row: NoiseRecipe, clean: Tensor, contrast: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Noise of one kind, and the level of each crop."""
    spread = torch.rand(clean.shape[0], 1, 1, 1, generator=generator).to(clean.device)
    level = row.low + (row.high - row.low) * spread
    noisy = noise.add(clean, row.kind, level, generator)
    sigma = _given_sigma(recipe, row.kind, noisy - clean, generator)
    # Files hold clipped and rounded values; the classical protocol measures on unclipped ones. A
    # picture of other contrast is cut off at the ends of its own range.
    if uniform(generator) < recipe.clip_share:
        stretched = (MIDDLE + (noisy - MIDDLE) / contrast).clamp(0, 1)
        if recipe.rounded:
            stretched = (stretched * 255).round() / 255
        noisy = MIDDLE + (stretched - MIDDLE) * contrast
    return noisy, sigma


def _given_sigma(recipe: Recipe, kind: str, added: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 1, 1, 1): the deviation of the noise, off by as much as an estimate of it may be.

    Impulses do not count: estimates leave them out, and those that are found are masked.
    """
    level = added.square().mean((1, 2, 3), keepdim=True).sqrt()
    if kind in IMPULSIVE:
        level = torch.zeros_like(level)
    if not recipe.level_error:
        return level
    error = torch.randn(len(added), 2, 1, 1, 1, generator=generator).to(added.device)
    return level * torch.exp(recipe.level_error * error[:, 0]) + error[:, 1].abs() / 255


def draw_masks(recipe: Recipe, clean: Tensor, generator: torch.Generator) -> Tensor | None:
    """Bernoulli masks of pixels or of single samples, for a share of the groups; else None.

    The ratio differs from crop to crop.
    """
    if uniform(generator) >= recipe.mask.share:
        return None
    count, channels, height, width = clean.shape
    several = recipe.mask.samples > 0
    planes = channels if several and uniform(generator) < recipe.mask.samples else 1
    low, high = recipe.mask.low, recipe.mask.high
    ratio = low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)
    dice = torch.rand(count, planes, height, width, generator=generator)
    visible = (dice >= ratio).float().to(clean.device)
    return visible.expand(-1, channels, -1, -1) if several else visible


# --- fluorescence: photons counted, read out, and stabilised as files of counts are --------------
#
# A clean picture becomes a mean number of photons, Poisson and read noise are drawn, and the
# generalised Anscombe transform brings both pictures to where the net works, in the unit of the
# noise and about the middle value, as `encoding.Counts` does. What is left there of the photons -
# steps and skew, where there are few - is part of what the net learns.

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


def _draw_counts(
    recipe: Recipe, row: NoiseRecipe, clean: Tensor, generator: torch.Generator
) -> Sample:
    """A group of stabilised counts, gray; the level is off by as much as an estimate may be."""
    noisy, target, level = draw_stabilised(clean, row.low, row.high, generator)
    visible = draw_masks(recipe, target, generator)
    error = torch.randn(len(level), 1, 1, 1, generator=generator).to(level)
    level = level * torch.exp(recipe.level_error * error)
    channels = recipe.channels
    noisy, target = (x.expand(-1, channels, -1, -1) for x in (noisy, target))
    return Sample(noisy, target, visible, level, draw_seeds(len(level), generator).to(level.device))


def draw_stabilised(
    clean: Tensor, low: float, high: float, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Noisy and clean (B, 1, H, W), stabilised, and the noise's level (B, 1, 1, 1).

    Args:
        clean: (B, 1, H, W) in 0..1, linear.
        low, high: standard deviation of the noise on the 0-255 scale of the range from black to
            white, above 0; evenly drawn by its logarithm.
    """
    dice = torch.rand(len(clean), 4, generator=generator)
    triples = [
        _stabilised(picture, low * (high / low) ** float(d[0]), d[1:], generator)
        for picture, d in zip(clean, dice, strict=True)
    ]
    noisy, target, level = (torch.stack(part) for part in zip(*triples, strict=True))
    return noisy.to(clean), target.to(clean), level.to(clean).reshape(-1, 1, 1, 1)


def _stabilised(
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
