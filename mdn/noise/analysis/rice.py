"""Rician noise: the length of a complex number, as scanners of magnetic resonance show it.

Where the picture is dark that is too bright on average, by sigma sqrt(pi / 2) at black, and half as
far spread (Gudbjartsson, Patz, Magn. Reson. Med. 1995).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NODES = 192  # of the integral


def mean(x: Tensor, sigma: float) -> Tensor:
    """E|x + n| for n complex normal of deviation sigma in each part; x >= 0 of any shape."""
    half = x.square() / (4 * sigma**2)
    bessel = torch.special.i0e(half) * (1 + 2 * half) + torch.special.i1e(half) * 2 * half
    return sigma * math.sqrt(math.pi / 2) * bessel


def below(limits: Tensor, x: Tensor, sigma: float) -> Tensor:
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
