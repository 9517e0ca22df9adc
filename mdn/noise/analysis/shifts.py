"""Noise that makes a picture darker or brighter on average, known by how samples are distributed.

Nets that learnt from noise of mean 0 make of it the mean of the samples, which is not the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdn.noise.analysis.curve import Curve
from mdn.noise.analysis.distributions import gamma_below, gamma_mean, rician_below, rician_mean

BINS = 24  # of brightness
FEWEST = 400  # samples of a bin, and bins
FEWEST_BINS = 3
THRESHOLDS = torch.linspace(0.04, 0.96, 24)  # brightnesses at which distributions are compared
NEAR = 0.011  # root mean square difference of the distributions, up to which they are the same
SHARE = 0.05  # of the samples, that must lie in bins that tell
BETTER = 0.8  # of that of a normal distribution as wide
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


def find(noisy: Tensor, denoised: Tensor) -> Shift | None:
    """Such noise of a picture; None where there is none.

    noisy, denoised: samples of the same places, any shape, nominal range 0..1.
    """
    noisy, denoised = noisy.flatten(), denoised.flatten().clamp(0, 1)
    place = (denoised * BINS).long().clamp(max=BINS - 1)
    bins = [noisy[place == b] for b in range(1, BINS)]  # the darkest is all rounding
    centres = [denoised[place == b].mean() for b in range(1, BINS)]
    kept = [(y, float(c)) for y, c in zip(bins, centres, strict=True) if len(y) >= FEWEST]
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
    if counts[telling].sum() < SHARE * len(noisy):
        return None
    nearest = distance(expected, telling)
    if nearest > NEAR or nearest > BETTER * distance(normal, telling):
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
    offset = np.interp(knots, made, (mean - made) * count / (count + FEWEST))
    if shift.family.dark:
        offset *= knots < shift.family.dark * shift.amount
    table = torch.from_numpy(MEANS).float()
    meant = _true(knots + offset, shift.family.mean(table, shift.amount)).clip(0, WHITEST)
    return Curve(tuple(knots.tolist()), tuple(np.maximum.accumulate(meant).tolist()))


def _true(mean: np.ndarray, means: Tensor) -> np.ndarray:
    """What the picture was where samples have that mean; `means` go with MEANS."""
    return np.interp(mean, means.numpy(), MEANS)
