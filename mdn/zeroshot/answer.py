"""What a fitted model makes of tiles: of what it sees, and of what is hidden from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.nets.masking import MaskKey, channel_keep
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline.apply_net import apply_net
from mdn.pipeline.conditioning import FAINT, NoiseConditioning
from mdn.pipeline.options import Options
from mdn.pipeline.pixel_shuffle import pixel_shuffle_downsampled, pixel_shuffle_upsampled
from mdn.registry.model import Model, Origins
from mdn.zeroshot.plan import Plan

PASSES = 8  # masks of the last ensemble, beside a pass over the whole picture
SHIFTS = 4  # pixels down and across by which the picture is moved over the grid of a fitted net
BLIND_PASSES = 32  # where there is none: each sample must be hidden, and several times


@dataclass(frozen=True)
class Answer:
    """Stands in place of `pipeline.apply_net` for a model that was fitted to a picture."""

    plan: Plan  # of the fit
    fills: bool  # the model only fills masks, and says nothing of what it sees
    seeing: float  # 0 to 1: weight of its answer to what it sees
    # root mean square error of its guesses of hidden samples, noise included; None where it was not
    # fitted
    blind_error: float | None
    estimate: NoiseEstimate | None  # of the picture's noise; None where it is not known

    def __call__(
        self,
        x: Tensor,
        origins: Origins,
        noise: NoiseConditioning,
        model: Model,
        options: Options,
        number: int,
    ) -> Tensor:
        """See `apply_net`."""
        model = replace(model, answer=None)
        if self.fills and self.blind_error is None:
            return x  # clean already: there is nothing to fill
        s = self.plan.shuffle
        if s == 1:
            return self._mixed(x, origins, noise, model, options, number)
        parts, places = pixel_shuffle_downsampled(x, origins, s)
        places = [(top // s, left // s) for top, left in places]
        parts = self._mixed(parts.contiguous(), places, noise, model, options, number)
        y = pixel_shuffle_upsampled(parts, s)
        # The small pictures have seams between them, which a pass over the whole picture removes.
        return y if self.fills else apply_net(y, origins, noise, model, options, number)

    def _mixed(
        self,
        x: Tensor,
        origins: Origins,
        noise: NoiseConditioning,
        model: Model,
        options: Options,
        number: int,
    ) -> Tensor:
        """Guesses of what is hidden, mixed with the sample itself or the answer to it."""
        if self.fills:
            guess = filled(x, x, origins, noise, model, self.plan.ratio, options, BLIND_PASSES)
            return torch.lerp(x, guess, self._weight_of_guess(guess))
        answer = cycle_spun if model.fitted else apply_net
        seen = answer(x, origins, noise, model, options, number)
        if self.seeing == 1:
            return seen
        guess = filled(x, seen, origins, noise, model, self.plan.ratio, options, PASSES)
        return torch.lerp(guess, seen, self.seeing)

    def _weight_of_guess(self, guess: Tensor) -> Tensor:
        """Weight of a blind guess against the sample that was hidden from it, at each sample.

        The errors of the two are independent, so each counts by the other's variance: the noise's
        at that brightness, and what the error on held-out samples has above it.
        """
        if self.estimate is None or self.estimate.correlated or self.blind_error is None:
            return torch.ones_like(guess)
        constant, slope, square = self.estimate.curve
        noise = (constant + slope * guess + square * guess**2).clamp(min=FAINT**2)
        excess = max(self.blind_error**2 - self.estimate.sigma**2, FAINT**2 / 4)
        return noise / (noise + excess)


def cycle_spun(
    x: Tensor,
    origins: Origins,
    noise: NoiseConditioning,
    model: Model,
    options: Options,
    number: int,
) -> Tensor:
    """The mean of the net's answers to x (B, C, H, W) at SHIFTS x SHIFTS places of its grid.

    A net that works at half resolution and less has other weights for each place of that grid, and
    noisy samples cannot keep them alike: fitted, it leaves a faint pattern of squares in flat
    places. What repeats every two or four pixels cancels in the mean (cycle spinning, Coifman and
    Donoho, "Translation-invariant de-noising", 1995).
    """
    height, width = x.shape[2:]
    multiple, total = model.card.multiple, torch.zeros_like(x)
    shifts = range(min(SHIFTS, multiple))
    for down in shifts:
        for across in shifts:
            room = (across, -across % multiple, down, -down % multiple)
            moved = F.pad(x, room, mode="reflect")
            places = [(top - down, left - across) for top, left in origins]
            y = apply_net(moved, places, noise, model, options, number)
            total += y[..., down : down + height, across : across + width]
    return total / len(shifts) ** 2


def filled(
    x: Tensor,
    otherwise: Tensor,
    origins: Origins,
    noise: NoiseConditioning,
    model: Model,
    ratio: float,
    options: Options,
    passes: int,
) -> Tensor:
    """The mean guess at each sample over the masks that hide it; `otherwise` where none does.

    Args:
        x, otherwise: (B, C, H, W).
        ratio: share of the samples that a mask hides.
        passes: masks, drawn from options.seed.
    """
    by_sample = model.abilities.per_channel_mask and not bool((x[:, :1] == x).all())
    stabiliser = noise.stabiliser if model.abilities.takes_sigma else None
    values = stabiliser.forward(x) if stabiliser else x
    more = {}
    if model.abilities.judges_noise:
        more = noise.judged
    elif model.abilities.takes_sigma:
        more["level"] = torch.tensor(max(noise.sigma, FAINT), device=x.device)
    total, count = torch.zeros_like(x), torch.zeros_like(x)
    where = torch.tensor(origins, device=x.device)
    shape = (len(x), x.shape[1], x.shape[2], x.shape[3])
    for index in range(passes):
        key = MaskKey(options.seed, index, where)
        visible = channel_keep(key, shape, (ratio, ratio), by_sample, x.device)
        guess = model(values, visible=visible, **more)
        if stabiliser:
            guess = stabiliser.inverse(guess)
        total += guess * (1 - visible)
        count += (1 - visible).expand_as(count)
    return torch.where(count > 0, total / count.clamp(min=1), otherwise)
