"""Noise and brightness: curves on brightness, and how strong noise is at each.

Variance stabilisation: a curve after which noise is equally strong everywhere. For noise of
standard deviation s(b) at brightness b, the curve T with T' = level / s makes the deviation `level`
at every b, to first order (Prucnal & Saleh 1981; for Poisson noise it is Anscombe's). Its algebraic
inverse is biased, since the mean of T is not T of the mean; so the inverse is tabulated from the
mean of T under the noise itself, the exact unbiased inverse of Makitalo & Foi ("Optimal inversion
of the Anscombe transformation", IEEE TIP 2011), by quadrature.

A noise-conditioned net takes a map of sigmas as well as one number (FFDNet, Zhang et al., IEEE TIP
2018, section III-B).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 2  # pixels: brightness is the mean of so many on each side, so that noise averages out
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


def local_brightness(noisy: Tensor) -> Tensor:
    """Brightness (B, C, H, W) around each sample of a noisy picture, not below 0."""
    edge = F.pad(noisy, (REACH,) * 4, mode="replicate")
    return F.avg_pool2d(edge, 2 * REACH + 1, 1).clamp(min=0)


def sigma_map(noisy: Tensor, curve: Sequence[float | Tensor]) -> Tensor:
    """Standard deviation (B, 1, H, W) of noise whose variance at brightness b is that of a curve.

    curve: factors of 1, b, b^2 ...; the variance of a pixel is the mean of its channels'.
    """
    b = local_brightness(noisy)
    variance = sum(factor * b**power for power, factor in enumerate(curve))
    assert isinstance(variance, Tensor)
    return variance.mean(1, keepdim=True).clamp(min=0).sqrt()


@dataclass(frozen=True)
class Curve:
    """What a denoiser makes of a brightness, and what it should be: both increasing, 0..1."""

    seen: tuple[float, ...]
    meant: tuple[float, ...]

    def corrected(self, y: Tensor) -> Tensor:
        """Denoised samples of any shape; beyond the ends the last change goes on."""
        seen, meant = (torch.tensor(v, device=y.device) for v in (self.seen, self.meant))
        inside = y.clamp(self.seen[0], self.seen[-1])
        right = torch.searchsorted(seen, inside.contiguous()).clamp(1, len(seen) - 1)
        part = (inside - seen[right - 1]) / (seen[right] - seen[right - 1])
        return meant[right - 1] + part * (meant[right] - meant[right - 1]) + (y - inside)
