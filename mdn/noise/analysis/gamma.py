"""Speckle of coherent light, radar and ultrasound: every sample times a gamma-distributed number.

A file cannot hold what is brighter than its white, and speckle often is: bright places come out too
dark on average.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mean(x: Tensor, looks: float) -> Tensor:
    """E[min(y, 1)] for y of a gamma distribution of mean x, any shape, and variance x^2 / looks."""
    shape = torch.full_like(x, looks)
    limit = shape / x.clamp(min=1e-6)
    return x * torch.special.gammainc(shape + 1, limit) + torch.special.gammaincc(shape, limit)


def below(limits: Tensor, x: Tensor, looks: float) -> Tensor:
    """P(y < limit) likewise, of limits (n,) below 1 and x (m, 1): (m, n)."""
    limit = looks * limits / x
    return torch.special.gammainc(torch.full_like(limit, looks), limit)
