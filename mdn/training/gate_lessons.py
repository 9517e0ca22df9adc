"""What gates learn from: crops, what two nets make of them, and how far that is from the truth."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from mdn.nets.gate import Gate, SecondGate, taken_out
from mdn.nets.unet import UNet
from mdn.training import judged
from mdn.training.data import Crops
from mdn.training.degrade import join_groups
from mdn.training.recipe import Recipe

FLOOR = 6e-6  # mean squared error below which nobody sees a difference: 52 dB
SHARES = 41  # evenly spread, of which the best is the measure of all


@dataclass(frozen=True)
class Lessons:
    """Crops as the judge sees them, and what became of each.

    seen: (N, width, n), descriptor: (N, size), see nets.judge. wrong: (N, 3, 3), the mean product
    of what is wrong with two of nets.gate.CHOICES, nominal range squared. clean: (N,) bool, whether
    nothing was added to it. taken_out: (N, 3 width, m), see nets.gate.
    """

    seen: Tensor
    descriptor: Tensor
    wrong: Tensor
    clean: Tensor
    taken_out: Tensor

    @property
    def errors(self) -> Tensor:
        """(N, 3): of each choice alone, dB; less is better."""
        return decibels(self.wrong.diagonal(dim1=1, dim2=2))

    def error_of(self, shares: Tensor) -> Tensor:
        """(N,): of the mean of the three, dB. shares: (N, 3), of each; they add up to 1."""
        return decibels(torch.einsum("ni,nij,nj->n", shares, self.wrong, shares))

    @functools.cached_property
    def least(self) -> Tensor:
        """(N, 1): the error of the best share of the best net, dB."""
        shares = torch.linspace(0, 1, SHARES)[:, None, None]
        return torch.stack([mixed(self.wrong, share) for share in shares]).amin((0, 2))[:, None]

    @property
    def regret(self) -> Tensor:
        """(N, 3): dB lost by each choice against the best share of the best net."""
        return self.errors - self.least

    def inputs(self, gate: Gate, rows: Tensor) -> tuple[Tensor, ...]:
        """Of some lessons, what a gate takes."""
        given = self.seen[rows].float(), self.descriptor[rows]
        if not isinstance(gate, SecondGate):
            return given
        return *given, self.taken_out[rows].float()


def decibels(error: Tensor) -> Tensor:
    """Of a mean squared error."""
    return 10 * torch.log10(error + FLOOR)


def mixed(wrong: Tensor, share: Tensor) -> Tensor:
    """(N, 2): the error, in dB, of a share of each net's result, the rest being the noisy picture.

    wrong: (N, 3, 3), see Lessons. share: (N, 1) or (1, 1), 0..1.
    """
    left, both, own = wrong[:, :1, 0], wrong[:, 0, 1:], wrong.diagonal(dim1=1, dim2=2)[:, 1:]
    return decibels((1 - share) ** 2 * left + 2 * share * (1 - share) * both + share**2 * own)


@torch.no_grad()
def draw_lessons(recipe: Recipe, crops: Crops, coarse: UNet, white: UNet, steps: range) -> Lessons:
    """What the two nets make of the crops of some steps."""
    edge = (recipe.side - recipe.data.crop) // 2
    span = slice(edge, edge + recipe.data.crop)
    inner = (..., span, span)
    rows: list[tuple[Tensor, ...]] = []
    for step in steps:
        groups = range(recipe.optim.groups)
        sample = join_groups([judged.draw_group(recipe, crops, step, n) for n in groups])
        assert sample.added is not None
        cells = coarse.judge.cells(sample.noisy)
        descriptor = coarse.judge.pool(cells)
        noisy, clean = sample.noisy[inner].contiguous(), sample.clean[inner]
        with torch.autocast("cpu", torch.bfloat16):
            made = [net(noisy, noise=descriptor).float() for net in (coarse, white)]
        truth = clean.clamp(0, 1)
        errors = torch.stack([(x.clamp(0, 1) - truth).flatten(1) for x in (noisy, *made)], 1)
        wrong = errors @ errors.mT / errors.shape[2]
        unchanged = ~sample.added[inner].flatten(1).any(1)
        out = taken_out(coarse.judge, noisy, made)
        rows.append((cells.seen.half(), descriptor, wrong, unchanged, out.half()))
    return Lessons(*(torch.cat(part) for part in zip(*rows, strict=True)))
