"""Speckle and Rician noise: noise that makes a picture darker or brighter on average.

Speckle of coherent light, as of radar and ultrasound, times every sample a gamma-distributed
number; a file cannot hold what is brighter than its white, so that bright places come out too dark
on average. Rician noise is the length of a complex number, as scanners of magnetic resonance show
it: where the picture is dark that is too bright on average, by sigma sqrt(pi / 2) at black, and
half as far spread (Gudbjartsson, Patz, Magn. Reson. Med. 1995).

Nets that learnt from noise of mean 0 make of it the mean of the samples, which is not the picture.
The noise shows in how samples are distributed where the picture is equally bright.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdn.noise.analysis.brightness import Curve
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.zeroshot.hidden_samples import generator_of
from mdn.zeroshot.windows import Trial, is_coarse

BINS = 24  # of brightness, black to white: narrow beside the noise, and full enough to count
FEWEST_SAMPLES = 400  # of a bin: a share of them is then known to .025
FEWEST_BINS = 3  # one or two bins fit many families
THRESHOLDS = torch.linspace(0.04, 0.96, 24)  # brightnesses at which distributions are compared
# Root mean square difference of the shares of samples below the thresholds up to which
# distributions are the same, and that over the difference to a normal distribution as wide. Speckle
# on photographs has up to .014, as what is denoised keeps some of the noise; none of Gaussian,
# Poisson and mixed noise, on six pictures, is nearer than .03 or better than normal.
MOST_DIFFERENCE, LEAST_BETTER = 0.015, 0.8
LEAST_TELLING = 0.05  # share of the samples that must lie in bins that tell
HALVES_ALIKE = 1.3  # ratio of what two halves of the samples say
HIDDEN = 0.25  # share of the pixels that are guessed from the others, to know what is made of them
MEANS = np.concatenate([np.linspace(0, 1, 129)[1:], np.geomspace(1, 3, 33)[1:]])
WHITEST = 1.0  # clean pictures go no further
NODES = 192  # of the integral


def gamma_mean(x: Tensor, looks: float) -> Tensor:
    """E[min(y, 1)] for y of a gamma distribution of mean x, any shape, and variance x^2 / looks."""
    shape = torch.full_like(x, looks)
    limit = shape / x.clamp(min=1e-6)
    return x * torch.special.gammainc(shape + 1, limit) + torch.special.gammaincc(shape, limit)


def gamma_below(limits: Tensor, x: Tensor, looks: float) -> Tensor:
    """P(y < limit) likewise, of limits (n,) below 1 and x (m, 1): (m, n)."""
    limit = looks * limits / x
    return torch.special.gammainc(torch.full_like(limit, looks), limit)


def rician_mean(x: Tensor, sigma: float) -> Tensor:
    """E|x + n| for n complex normal of deviation sigma in each part; x >= 0 of any shape."""
    half = x.square() / (4 * sigma**2)
    bessel = torch.special.i0e(half) * (1 + 2 * half) + torch.special.i1e(half) * 2 * half
    return sigma * math.sqrt(math.pi / 2) * bessel


def rician_below(limits: Tensor, x: Tensor, sigma: float) -> Tensor:
    """P(|x + n| < limit), of limits (n,) and x (m, 1): (m, n).

    The integral over the real part u of its density times the chance that the imaginary part is
    less than sqrt(limit^2 - u^2); u = limit sin(angle).
    """
    angle = (torch.arange(NODES) + 0.5) / NODES * math.pi - math.pi / 2
    u, other = limits[:, None] * angle.sin(), limits[:, None] * angle.cos()
    density = (-0.5 * ((u - x[..., None]) / sigma).square()).exp() / (
        sigma * math.sqrt(2 * math.pi)
    )
    chance = torch.erf(other / (sigma * math.sqrt(2)))
    return (density * chance * other).sum(-1) * math.pi / NODES


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


def find_shift(trial: Trial, x: Tensor, noise: NoiseConditioning) -> tuple[Shift, Curve] | None:
    """Noise that shifts the mean, if both halves of the samples show the same; what mends it.

    x: the window (C, H, W) that the trial is of.
    """
    if noise.places is not None or is_coarse(noise):
        return None  # the samples of a processed picture are not distributed as a sensor's
    denoised, noisy = trial.denoised(x, noise), trial.of(x)
    shift = find(noisy, denoised)
    if shift is None:
        return None
    halves = [find(noisy[:, i::2], denoised[:, i::2]) for i in (0, 1)]
    amounts = [half.amount for half in halves if half and half.family is shift.family]
    if len(amounts) < 2 or max(amounts) > HALVES_ALIKE * min(amounts):
        return None
    hidden = torch.rand(noisy[:1].shape, generator=generator_of(trial.options.seed)) < HIDDEN
    guess, hidden = trial.guess(x, noise, hidden), hidden.expand_as(noisy)
    return shift, curve(shift, noisy[hidden], denoised[hidden], guess[hidden])


def find(noisy: Tensor, denoised: Tensor) -> Shift | None:
    """Such noise of a picture; None where there is none.

    noisy, denoised: samples of the same places, any shape, nominal range 0..1.
    """
    noisy, denoised = noisy.flatten(), denoised.flatten().clamp(0, 1)
    place = (denoised * BINS).long().clamp(max=BINS - 1)
    bins = [noisy[place == b] for b in range(1, BINS)]  # the darkest is all rounding
    bins = [y for y in bins if len(y) >= FEWEST_SAMPLES]
    if len(bins) < FEWEST_BINS:
        return None
    counts = torch.tensor([float(len(y)) for y in bins])
    mean = torch.stack([y.mean() for y in bins])
    spread = torch.stack([y.std() for y in bins]).clamp(min=1e-4)
    below = torch.stack([(y[:, None] < THRESHOLDS).float().mean(0) for y in bins])
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
    _, amount, family, expected = min(tried, key=lambda trial: trial[0])
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
    count, answer, mean = (
        place.bincount(weights).numpy()
        for weights in (torch.ones(len(place)), denoised.flatten(), noisy.flatten())
    )
    full = count > 0
    count, answer, mean = count[full], answer[full] / count[full], mean[full] / count[full]
    knots = np.linspace(0, 1, 33)
    # Few samples say little, and where none say anything the denoiser is believed.
    offset = np.interp(knots, answer, (mean - answer) * count / (count + FEWEST_SAMPLES))
    if shift.family.dark:
        offset *= knots < shift.family.dark * shift.amount
    table = torch.from_numpy(MEANS).float()
    meant = _true(knots + offset, shift.family.mean(table, shift.amount)).clip(0, WHITEST)
    return Curve(tuple(knots.tolist()), tuple(np.maximum.accumulate(meant).tolist()))


def _true(mean: np.ndarray, means: Tensor) -> np.ndarray:
    """What the picture was where samples have that mean; `means` go with MEANS."""
    return np.interp(mean, means.numpy(), MEANS)
