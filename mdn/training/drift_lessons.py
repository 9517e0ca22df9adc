"""What the net for drifting lines learns from: crops, and lines whose brightness drifts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.nets.drift import STRIP
from mdn.training import judged
from mdn.training.data import Crops
from mdn.training.degrade import join_groups
from mdn.training.recipe import Recipe

SIZE = 0.7 / 255, 40 / 255  # deviation of offsets, drawn evenly by its logarithm
STRETCHED = 0.12  # share of the crops, in `draw_lessons`
SLATS = 0.1  # share of them with slats
BATCH = 16
FEWEST = 96  # rows and columns that are looked at, at least

Batch = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Lessons:
    """Noisy crops (N, 3, H, W), not cut off, and the deviation of their noise (N,)."""

    noisy: Tensor
    sigma: Tensor


class StretchedCrops(Crops):
    """Some of them show a few columns only, stretched to the width of a crop."""

    def draw(self, count: int, generator: torch.Generator, size: int = 0) -> Tensor:
        crops = super().draw(count, generator, size)
        dice = torch.rand(count, 2, generator=generator).tolist()
        for index, (whether, how) in enumerate(dice):
            if whether < STRETCHED:
                few = crops[index : index + 1, ..., : int(2 * 32**how)]
                crops[index] = F.interpolate(few, crops.shape[2:], mode="bilinear")[0]
        return crops


def draw_drift(rows: int, generator: torch.Generator) -> Tensor:
    """Offsets (rows,) of mean 0, nominal range 0..1."""
    kind, amount, other, size = torch.rand(4, generator=generator).tolist()
    offsets = torch.randn(rows, generator=generator)
    if kind < 0.75:  # an autoregression; one in ten is a random walk
        memory = 1.0 if amount > 0.9 else 1 - 0.7 * 10 ** (-2 * amount / 0.9)
        values = offsets.tolist()
        values[0] /= math.sqrt(max(1 - memory**2, 0.01))
        for row in range(1, rows):
            values[row] += memory * values[row - 1]
        offsets = torch.tensor(values)
    elif kind < 0.92:  # smooth, with something of a fresh one
        reach = 0.5 * 30**amount
        taps = torch.exp(-0.5 * (torch.arange(-48, 49) / reach).square())
        smooth = F.conv1d(F.pad(offsets[None], (48, 48), mode="reflect"), taps[None, None])[0]
        offsets = smooth / smooth.std() + 0.3 * other * offsets
    else:  # jumps
        offsets = (offsets * (torch.rand(rows, generator=generator) < 0.02 * 20**amount)).cumsum(0)
    offsets = offsets - offsets.mean()
    return offsets * SIZE[0] * (SIZE[1] / SIZE[0]) ** size / offsets.std().clamp(min=0.01)


def draw_slats(rows: int, generator: torch.Generator) -> Tensor:
    """(rows,): what repeats along the lines and is a picture: waves, bars, slats of any shade."""
    kind, period, size, phase = torch.rand(4, generator=generator).tolist()
    period, size = 2 * 48**period, 0.3 * 0.03**size
    place = torch.arange(rows) / period + phase
    if kind < 0.6:
        wave = torch.sin(2 * math.pi * place)
        return size * (wave if kind < 0.3 else wave.sign())
    return size * torch.randn(rows + 2, generator=generator)[place.long()]


@torch.no_grad()
def draw_lessons(recipe: Recipe, crops: Crops, steps: range) -> Lessons:
    """Crops of some steps."""
    groups = range(recipe.optim.groups)
    sample = join_groups(
        [judged.draw_group(recipe, crops, step, n) for step in steps for n in groups]
    )
    assert sample.added is not None
    return Lessons(sample.noisy.half(), sample.added.square().mean((1, 2, 3)).sqrt())


def draw_batch(lessons: Lessons, generator: torch.Generator) -> Batch:
    """Parts of BATCH crops (B, C, h, w) as files hold them, what was added (B, h), and sigmas."""
    rows, columns, gray = torch.rand(3, generator=generator).tolist()
    side = lessons.noisy.shape[2]
    high = FEWEST + int(rows * (side - FEWEST + 1))
    wide = (FEWEST + int(columns * (side - FEWEST + 1))) // STRIP * STRIP
    parts, added, sigmas = [], [], []
    for number, (which, top, left, flip, level) in enumerate(
        torch.rand(BATCH, 5, generator=generator).tolist()
    ):
        index = int(which * len(lessons.noisy))
        down, across = int(top * (side - high + 1)), int(left * (side - wide + 1))
        crop = lessons.noisy[index, :, down : down + high, across : across + wide].float()
        if gray < 0.5:  # of one colour: the mean of three has less noise
            crop = crop[int(3 * gray / 0.5), None].expand(1, -1, -1)
        crop = crop.flip(1) if flip < 0.5 else crop
        crop = crop + draw_slats(high, generator)[:, None] if level < SLATS else crop
        offsets = draw_drift(high, generator) if number % 2 else torch.zeros(high)
        parts.append(((crop + offsets[:, None]).clamp(0, 1) * 255).round() / 255)
        added.append(offsets)
        sigmas.append(lessons.sigma[index])
    return torch.stack(parts), torch.stack(added), torch.stack(sigmas)
