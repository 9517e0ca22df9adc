"""What a model makes of tiles once its layers were fitted, in place of `apply_net`.

The loss of a fit looks at samples that are hidden. So nothing holds what the fitted net makes of a
sample that it sees, and it lets fine noise through, which shows as hatching. What it has learnt of
the picture beyond that is mostly smooth: a change of brightness from place to place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn.nets.masking import MaskKey, channel_keep
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline.conditioning import FAINT, NoiseConditioning
from mdn.pipeline.denoise_tiles import (
    apply_net,
    pixel_shuffle_downsampled,
    pixel_shuffle_upsampled,
    self_ensemble,
)
from mdn.pipeline.options import AUGMENTATIONS, Options
from mdn.registry.model import Model, Origins

MASKS = 32  # of a filled picture: each sample must be hidden, and several times


@dataclass(frozen=True)
class FilledAnswer:
    """Of a net that fills masks: guesses of hidden samples, mixed with the samples themselves."""

    ratio: float  # share of the samples that a mask hides
    shuffle: int  # see Plan
    # root mean square error of its guesses of hidden samples, noise included; None where it was not
    # fitted, as the picture is clean
    blind_error: float | None
    estimate: NoiseEstimate | None  # of the picture's noise; None where it is not measured

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
        if self.blind_error is None:
            return x
        model, s = replace(model, answer=None), self.shuffle
        parts, places = x, origins
        if s > 1:
            parts, places = pixel_shuffle_downsampled(x, origins, s)
            places = [(top // s, left // s) for top, left in places]
        parts = parts.contiguous()
        guess = filled(parts, places, noise, model, self.ratio, options)
        y = torch.lerp(parts, guess, self.weight_of_guess(guess))
        return pixel_shuffle_upsampled(y, s) if s > 1 else y

    def weight_of_guess(self, guess: Tensor) -> Tensor:
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


@dataclass(frozen=True)
class ChangedAnswer:
    """Of a net that denoises: its plain answer, and what is taken of the fit's change.

    It is the mean over all flips and rotations, which is little beside a fit.
    """

    plain: nn.Module  # the net as it came
    fine: bool  # whether all that the fit changes is taken, see `part_of_change`

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
        plain, grid = replace(model, net=self.plain), model.card.multiple

        def one_pass(way: int) -> Tensor:
            before, after = (apply_net(x, origins, noise, m, options, way) for m in (plain, model))
            return part_of_change(before, after, grid, fine=self.fine)

        return _averaged(one_pass, number, options)


def averaged_answer(
    x: Tensor,
    origins: Origins,
    noise: NoiseConditioning,
    model: Model,
    options: Options,
    number: int,
) -> Tensor:
    """The mean of a model's answers to x, flipped and rotated. See `apply_net`."""
    one_pass = partial(apply_net, x, origins, noise, replace(model, answer=None), options)
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
    total, count = torch.zeros_like(x), torch.zeros_like(x)
    where = torch.tensor(origins, device=x.device)
    shape = (len(x), x.shape[1], x.shape[2], x.shape[3])
    for index in range(MASKS):
        key = MaskKey(options.seed, index, where)
        visible = channel_keep(key, shape, (ratio, ratio), by_sample, x.device)
        guess = model(x, visible=visible)
        total += guess * (1 - visible)
        count += (1 - visible).expand_as(count)
    return torch.where(count > 0, total / count.clamp(min=1), x)


def smooth(change: Tensor, side: int) -> Tensor:
    """(B, C, H, W), the mean of side x side samples around each; mirrored at the border.

    side: of the net's grid. Each place of that grid has weights of its own, and a fit moves them
    apart; what repeats with the grid cancels in the mean over one of its cells.
    """
    room = (side // 2, (side - 1) // 2) * 2
    return F.avg_pool2d(F.pad(change, room, mode="reflect"), side, 1)


def part_of_change(plain: Tensor, fitted: Tensor, side: int, *, fine: bool) -> Tensor:
    """The answer to use; both and it (B, C, H, W). fine: whether all of the change is taken."""
    return fitted if fine else plain + smooth(fitted - plain, side)


def roughness(answers: Sequence[Tensor], side: int) -> float:
    """Mean square of what is finer than the grid, summed over answers (1, C, H, W)."""
    return sum(float((y - smooth(y, side)).square().mean()) for y in answers)
