"""Pictures, generators and the check of moments that the noise tests share."""

import math

import pytest
import torch

from mdn import noise

SIDE = 256
COUNT = 3 * SIDE * SIDE


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(value: float) -> torch.Tensor:
    return torch.full((3, SIDE, SIDE), value)


def ramp() -> torch.Tensor:
    """All 256 values of an 8-bit picture."""
    return (torch.arange(256) / 255).expand(3, 256, 256)


def change_of(kind: str, level, x: torch.Tensor | None = None, seed: int = 0) -> torch.Tensor:
    """What the noise adds to x, by default mid-gray."""
    x = flat(0.5) if x is None else x
    return noise.add(x, kind, level, generator(seed)) - x


def neighbours(change: torch.Tensor, lag: int = 1) -> float:
    """Correlation of samples of the first channel so many columns apart."""
    pair = torch.stack([change[0, ..., lag:].flatten(), change[0, ..., :-lag].flatten()])
    return float(torch.corrcoef(pair)[0, 1])


def assert_moments(change: torch.Tensor, variance: float, independent: float = 1.0) -> None:
    """Mean 0 and this variance within five standard errors.

    independent: samples that are worth one independent one, above 1 for correlated noise.
    """
    count = change.numel() / independent
    kurtosis = float((change - change.mean()).pow(4).mean()) / variance**2
    assert abs(float(change.mean())) < 5 * math.sqrt(variance / count)
    error = math.sqrt(max(kurtosis - 1, 0.1) / count)
    assert float(change.var()) == pytest.approx(variance, rel=5 * error)
