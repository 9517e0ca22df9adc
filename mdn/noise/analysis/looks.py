"""Speckle of coherent light, radar and ultrasound: every sample times a gamma-distributed number.

A file cannot hold what is brighter than its white, and speckle often is: bright places come out too
dark on average, and so does what a net makes of them. The gamma distribution says by how much.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mdn.noise.analysis.curve import Curve

LOOKS = np.geomspace(0.5, 45.0, 27)  # that are tried
BINS = 24  # of brightness
FEWEST = 400  # samples of a bin, and bins
FEWEST_BINS = 3
THRESHOLDS = torch.linspace(0.04, 0.96, 24)  # brightnesses at which distributions are compared
NEAR = 0.011  # root mean square difference of the distributions, up to which they are the same
BETTER = 0.8  # of that of a normal distribution as wide
MEANS = np.concatenate([np.linspace(0, 1, 129)[1:], np.geomspace(1, 3, 33)[1:]])
WHITEST = 1.0  # clean pictures go no further


@dataclass(frozen=True)
class Looks:
    """Speckle of a picture.

    Attributes:
        looks: 1 / variance of the factors; 1 for a single look of a radar.
        curve: what a denoised brightness truly was.
    """

    looks: float
    curve: Curve


def clipped_mean(mean: Tensor, looks: float) -> Tensor:
    """E[min(y, 1)] for y of a gamma distribution of this mean and shape."""
    shape = torch.full_like(mean, looks)
    limit = shape / mean.clamp(min=1e-6)
    return mean * torch.special.gammainc(shape + 1, limit) + torch.special.gammaincc(shape, limit)


def find(noisy: Tensor, denoised: Tensor) -> Looks | None:
    """The looks of a picture, and what to make of the denoised one; None where it is no speckle.

    Args:
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

    def distance(expected: Tensor) -> float:
        return float((((expected - below) ** 2).mean(1) * counts).sum() / counts.sum()) ** 0.5

    normal = torch.distributions.Normal(mean[:, None], spread[:, None])
    tried = []
    for looks in LOOKS:
        expected = clipped_mean(table, float(looks)).numpy()
        true = torch.from_numpy(np.interp(mean.numpy(), expected, MEANS)).float()
        limit = looks * THRESHOLDS / true[:, None]
        gamma = torch.special.gammainc(torch.full_like(limit, looks), limit)
        tried.append((distance(gamma), looks))
    nearest, looks = min(tried)
    if nearest > NEAR or nearest > BETTER * distance(normal.cdf(THRESHOLDS)):
        return None
    expected = clipped_mean(table, float(looks)).numpy()
    # What the denoiser made, what the samples there mean on average, and what that was.
    made = np.array([c for _, c in kept])
    knots = np.linspace(0, 1, 33)
    offset = np.interp(knots, made, (mean - torch.tensor(made)).numpy())
    meant = np.interp(knots + offset, expected, MEANS).clip(0, WHITEST)
    meant = np.maximum.accumulate(meant)
    curve = Curve(tuple(knots.tolist()), tuple(meant.tolist()))
    return Looks(float(looks), curve)
