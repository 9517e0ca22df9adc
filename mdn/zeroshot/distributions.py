"""How samples are distributed under noise whose mean is not the picture: speckle and Rician noise.

Speckle of coherent light, as of radar and ultrasound, times every sample a gamma-distributed
number; a file cannot hold what is brighter than its white, so that bright places come out too dark
on average. Rician noise is the length of a complex number, as scanners of magnetic resonance show
it: where the picture is dark that is too bright on average, by sigma sqrt(pi / 2) at black, and
half as far spread (Gudbjartsson, Patz, Magn. Reson. Med. 1995).
"""

import math

import torch
from torch import Tensor

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
