"""Speckle and Rician noise: noise that makes a picture darker or brighter on average.

Nets that learnt from noise of mean 0 make of it the mean of the samples, which is not the picture.
The noise is known by how samples are distributed where the picture is equally bright.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdn.noise.analysis.curve import Curve
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.zeroshot.crop import Crop, is_coarse
from mdn.zeroshot.distributions import gamma_below, gamma_mean, rician_below, rician_mean
from mdn.zeroshot.hidden_samples import generator_of

BINS = 24  # of brightness, black to white: narrow beside the noise, and full enough to count
FEWEST_SAMPLES = 400  # of a bin: a share of them is then known to .025
FEWEST_BINS = 3  # one or two bins fit many families
THRESHOLDS = torch.linspace(0.04, 0.96, 24)  # brightnesses at which distributions are compared
# Root mean square difference of the shares of samples below the thresholds up to which
# distributions are the same, and that over the difference to a normal distribution as wide.
MOST_DIFFERENCE, LEAST_BETTER = 0.011, 0.8
LEAST_TELLING = 0.05  # share of the samples that must lie in bins that tell
HALVES_ALIKE = 1.3  # ratio of what two halves of the samples say
HIDDEN = 0.25  # share of the pixels that are guessed from the others, to know what is made of them
MEANS = np.concatenate([np.linspace(0, 1, 129)[1:], np.geomspace(1, 3, 33)[1:]])
WHITEST = 1.0  # clean pictures go no further


class Family(NamedTuple):
    """Distributions with one parameter, besides what the picture truly was."""

    name: str  # of the parameter
    tried: np.ndarray  # its values
    mean: Callable[[Tensor, float], Tensor]  # of the samples where the picture was x
    below: Callable[[Tensor, Tensor, float], Tensor]  # the share of the samples below each limit
    # bins of a mean below so many times the parameter tell it from normal noise, and only there
    # what is made of samples is not their mean; 0 where all bins do
    dark: float


FAMILIES = (
    Family("looks", np.geomspace(0.5, 45.0, 27), gamma_mean, gamma_below, 0.0),
    Family("rician", np.geomspace(6.0, 60.0, 24) / 255, rician_mean, rician_below, 3.0),
)


@dataclass(frozen=True)
class Shift:
    """Noise whose mean is not what the picture was."""

    # of distributions; its parameter is looks, 1 / variance of the factors of speckle, or rician,
    # the deviation in each part of a complex number
    family: Family
    amount: float  # that parameter


def find_shift(crop: Crop, x: Tensor, noise: NoiseConditioning) -> tuple[Shift, Curve] | None:
    """Noise that shifts the mean, if both halves of the samples show the same; what mends it.

    x: the window (C, H, W) that the crop is of.
    """
    if noise.places is not None or is_coarse(noise):
        return None  # the samples of a processed picture are not distributed as a sensor's
    denoised, noisy = crop.denoised(x, noise), crop.of(x)
    shift = find(noisy, denoised)
    if shift is None:
        return None
    halves = [find(noisy[:, i::2], denoised[:, i::2]) for i in (0, 1)]
    amounts = [half.amount for half in halves if half and half.family is shift.family]
    if len(amounts) < 2 or max(amounts) > HALVES_ALIKE * min(amounts):
        return None
    hidden = torch.rand(noisy[:1].shape, generator=generator_of(crop.options.seed)) < HIDDEN
    guess, hidden = crop.guess(x, noise, hidden), hidden.expand_as(noisy)
    return shift, curve(shift, noisy[hidden], denoised[hidden], guess[hidden])


def find(noisy: Tensor, denoised: Tensor) -> Shift | None:
    """Such noise of a picture; None where there is none.

    noisy, denoised: samples of the same places, any shape, nominal range 0..1.
    """
    noisy, denoised = noisy.flatten(), denoised.flatten().clamp(0, 1)
    place = (denoised * BINS).long().clamp(max=BINS - 1)
    bins = [noisy[place == b] for b in range(1, BINS)]  # the darkest is all rounding
    centres = [denoised[place == b].mean() for b in range(1, BINS)]
    kept = [(y, float(c)) for y, c in zip(bins, centres, strict=True) if len(y) >= FEWEST_SAMPLES]
    if len(kept) < FEWEST_BINS:
        return None
    counts = torch.tensor([float(len(y)) for y, _ in kept])
    mean = torch.stack([y.mean() for y, _ in kept])
    spread = torch.stack([y.std() for y, _ in kept]).clamp(min=1e-4)
    below = torch.stack([(y[:, None] < THRESHOLDS).float().mean(0) for y, _ in kept])
    table = torch.from_numpy(MEANS).float()

    def distance(expected: Tensor, of: slice | Tensor = slice(None)) -> float:
        squares = ((expected - below) ** 2).mean(1) * counts
        return float(squares[of].sum() / counts[of].sum()) ** 0.5

    normal = torch.distributions.Normal(mean[:, None], spread[:, None]).cdf(THRESHOLDS)
    tried = []
    for family in FAMILIES:
        for amount in map(float, family.tried):
            true = _true(mean.numpy(), family.mean(table, amount))
            expected = family.below(THRESHOLDS, torch.from_numpy(true).float()[:, None], amount)
            tried.append((distance(expected), amount, family, expected))
    _, amount, family, expected = min(tried, key=lambda each: each[0])
    telling = mean < (family.dark * amount or 1.0)
    if counts[telling].sum() < LEAST_TELLING * len(noisy):
        return None
    nearest = distance(expected, telling)
    if nearest > MOST_DIFFERENCE or nearest > LEAST_BETTER * distance(normal, telling):
        return None
    return Shift(family, amount)


def curve(shift: Shift, noisy: Tensor, denoised: Tensor, guess: Tensor) -> Curve:
    """What a denoised brightness truly was.

    Args:
        noisy, denoised: as `find`.
        guess: of the same samples by who has not seen them: what is denoised keeps some of each
            sample's noise, so that where it is bright samples are too bright on average.
    """
    place = (guess.flatten().clamp(0, 1) * BINS).long()
    count, made, mean = (
        place.bincount(weights).numpy()
        for weights in (torch.ones(len(place)), denoised.flatten(), noisy.flatten())
    )
    kept = count > 0
    count, made, mean = count[kept], made[kept] / count[kept], mean[kept] / count[kept]
    knots = np.linspace(0, 1, 33)
    # Few samples say little, and where none say anything the denoiser is believed.
    offset = np.interp(knots, made, (mean - made) * count / (count + FEWEST_SAMPLES))
    if shift.family.dark:
        offset *= knots < shift.family.dark * shift.amount
    table = torch.from_numpy(MEANS).float()
    meant = _true(knots + offset, shift.family.mean(table, shift.amount)).clip(0, WHITEST)
    return Curve(tuple(knots.tolist()), tuple(np.maximum.accumulate(meant).tolist()))


def _true(mean: np.ndarray, means: Tensor) -> np.ndarray:
    """What the picture was where samples have that mean; `means` go with MEANS."""
    return np.interp(mean, means.numpy(), MEANS)
