"""Variance stabilisation: a curve on brightness after which noise is equally strong everywhere.

For noise of standard deviation s(b) at brightness b, the curve T with T' = level / s makes the
deviation `level` at every b, to first order (Prucnal & Saleh 1981; for Poisson noise it is
Anscombe's). Its algebraic inverse is biased, since the mean of T is not T of the mean; so the
inverse is tabulated from the mean of T under the noise itself, the exact unbiased inverse of
Makitalo & Foi ("Optimal inversion of the Anscombe transformation", IEEE TIP 2011), by quadrature.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BELOW, ABOVE = -0.5, 1.5  # brightness that the tables span; noise reaches beyond black and white
ENTRIES = 1025
NODES = 15  # of the Gauss-Hermite quadrature
DARKEST = 0.2  # the smallest variance, as a share of the mean: T would be too steep below


@dataclass(frozen=True)
class Stabiliser:
    """T and its inverse as tables; made by `stabiliser`.

    level: standard deviation of the noise after T, which maps [0, 1] onto [0, 1].
    """

    level: float
    curve: Tensor  # T at ENTRIES even steps of brightness from BELOW to ABOVE
    means: Tensor  # the mean of T(noisy) at the same brightnesses, increasing

    def forward(self, x: Tensor) -> Tensor:
        """T(x); brightness beyond BELOW and ABOVE goes on in a straight line."""
        return _between(self.curve, (x - BELOW) / (ABOVE - BELOW) * (ENTRIES - 1))

    def inverse(self, y: Tensor) -> Tensor:
        """The brightness whose noisy samples have the mean y after T."""
        means = self.means.to(y.device)
        right = torch.searchsorted(means, y.contiguous()).clamp(1, ENTRIES - 1)
        part = (y - means[right - 1]) / (means[right] - means[right - 1])
        return BELOW + (right - 1 + part) * ((ABOVE - BELOW) / (ENTRIES - 1))


def stabiliser(offset: float, gain: float, square: float) -> Stabiliser:
    """For noise of variance offset + gain b + square b^2 at brightness b, nominal range [0, 1].

    Raises ValueError where that is nowhere above 0.
    """
    b = np.linspace(BELOW, ABOVE, ENTRIES)
    inside = b.clip(0, 1)
    variance = offset + gain * inside + square * inside**2
    typical = variance[(b >= 0) & (b <= 1)].clip(0).mean()
    if typical <= 0:
        raise ValueError("noise to stabilise needs a variance above 0")
    deviation = np.sqrt(variance.clip(DARKEST * typical))
    slope = 1 / deviation
    curve = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2)]) * (b[1] - b[0])
    black, white = np.interp([0, 1], b, curve)
    level = 1 / (white - black)
    curve = (curve - black) * level
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    noisy = b[:, None] + deviation[:, None] * nodes
    means = _line(noisy, b, curve) @ (weights / weights.sum())
    # Far beyond white the table ends and the mean flattens: keep it increasing.
    means = np.maximum.accumulate(means + np.arange(ENTRIES) * 1e-9)
    return Stabiliser(float(level), _tensor(curve), _tensor(means))


def _line(x: np.ndarray, b: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """The curve at x, going on straight beyond its ends."""
    inside = np.interp(x, b, curve)
    low = (curve[1] - curve[0]) / (b[1] - b[0]) * np.minimum(x - b[0], 0)
    high = (curve[-1] - curve[-2]) / (b[1] - b[0]) * np.maximum(x - b[-1], 0)
    return np.asarray(inside + low + high)


def _between(table: Tensor, place: Tensor) -> Tensor:
    """A table at fractional places, straight on beyond its ends."""
    table = table.to(place.device)
    left = place.floor().clamp(0, len(table) - 2).long()
    return torch.lerp(table[left], table[left + 1], place - left)


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
