"""What a model whose layers were fitted makes of tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from mdn.nets.masking import MaskKey, channel_keep
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline.apply_net import apply_net
from mdn.pipeline.conditioning import FAINT, NoiseConditioning
from mdn.pipeline.options import Options
from mdn.pipeline.pixel_shuffle import pixel_shuffle_downsampled, pixel_shuffle_upsampled
from mdn.pipeline.self_ensemble import AUGMENTATIONS, self_ensemble
from mdn.registry.model import Model, Origins
from mdn.zeroshot.change import taken
from mdn.zeroshot.plan import Plan

PASSES = 32  # masks: each sample must be hidden, and several times


@dataclass(frozen=True)
class Answer:
    """Stands in place of `pipeline.apply_net` for a model that was fitted to a picture."""

    plan: Plan  # of the fit
    plain: nn.Module | None  # the net as it came; None: the model only fills masks
    fine: bool  # whether all that the fit changes is taken, see `change`
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
        if self.plain is None and self.blind_error is None:
            return x  # clean already: there is nothing to fill
        s = self.plan.shuffle
        if s == 1:
            return self._answer(x, origins, noise, model, options, number)
        parts, places = pixel_shuffle_downsampled(x, origins, s)
        places = [(top // s, left // s) for top, left in places]
        parts = self._answer(parts.contiguous(), places, noise, model, options, number)
        y = pixel_shuffle_upsampled(parts, s)
        # The small pictures have seams between them, which a pass over the whole picture removes.
        return y if self.plain is None else apply_net(y, origins, noise, model, options, number)

    def _answer(
        self,
        x: Tensor,
        origins: Origins,
        noise: NoiseConditioning,
        model: Model,
        options: Options,
        number: int,
    ) -> Tensor:
        """Guesses of what is hidden, mixed with the sample; or what is taken of the fit's change.

        Of the latter the mean over all flips and rotations, which is little beside a fit.
        """
        if self.plain is None:
            guess = filled(x, origins, noise, model, self.plan.ratio, options)
            return torch.lerp(x, guess, self._weight_of_guess(guess))
        plain, grid = replace(model, net=self.plain), model.card.multiple

        def one_pass(way: int) -> Tensor:
            before, after = (apply_net(x, origins, noise, m, options, way) for m in (plain, model))
            return taken(before, after, grid, fine=self.fine)

        return _averaged(one_pass, number, options)

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


def flipped(
    x: Tensor,
    origins: Origins,
    noise: NoiseConditioning,
    model: Model,
    options: Options,
    number: int,
) -> Tensor:
    """The mean of a model's answers to x, flipped and rotated. Stands in place of `apply_net`."""
    model = replace(model, answer=None)
    one_pass = partial(apply_net, x, origins, noise, model, options)
    return _averaged(one_pass, number, options)


def _averaged(one_pass: Callable[[int], Tensor], number: int, options: Options) -> Tensor:
    """Over all flips and rotations; one of them where the caller averages."""
    if options.passes > 1:
        return one_pass(number)
    return self_ensemble(one_pass, AUGMENTATIONS, with_std=False)


def filled(
    x: Tensor,
    origins: Origins,
    noise: NoiseConditioning,
    model: Model,
    ratio: float,
    options: Options,
) -> Tensor:
    """The mean guess at each sample of (B, C, H, W) over the masks that hide it; x where none does.

    Masks, of a share `ratio` of the samples each, are drawn from options.seed.
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
    for index in range(PASSES):
        key = MaskKey(options.seed, index, where)
        visible = channel_keep(key, shape, (ratio, ratio), by_sample, x.device)
        guess = model(values, visible=visible, **more)
        if stabiliser:
            guess = stabiliser.inverse(guess)
        total += guess * (1 - visible)
        count += (1 - visible).expand_as(count)
    return torch.where(count > 0, total / count.clamp(min=1), x)
