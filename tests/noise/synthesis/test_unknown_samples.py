"""Moments of Laplace and uniform noise against theory."""

from __future__ import annotations

import math

import pytest
import torch

from mdn import noise
from tests.noise.synthesis.moments import assert_moments, flat, generator


def kurtosis(change: torch.Tensor) -> float:
    return float(change.pow(4).mean() / change.square().mean() ** 2)


@pytest.mark.parametrize(("kind", "fourth"), [("laplace", 6.0), ("uniform", 1.8)])
def test_variance_and_tails(kind: str, fourth: float) -> None:
    change = noise.add(flat(0.5), kind, 25, generator()) - 0.5
    assert_moments(change, (25 / 255) ** 2)
    assert kurtosis(change) == pytest.approx(fourth, rel=0.06)


def test_uniform_noise_ends_where_it_should() -> None:
    change = (noise.add(flat(0.5), "uniform", 25, generator()) - 0.5).abs()
    assert 0.999 < float(change.max()) / (math.sqrt(3) * 25 / 255) < 1.0001


def test_half_of_laplace_noise_is_nearer_than_theory_says() -> None:
    """The median of |n| is b log 2."""
    change = (noise.add(flat(0.5), "laplace", 25, generator()) - 0.5).abs()
    median = 25 / 255 / math.sqrt(2) * math.log(2)
    assert float(change.median()) == pytest.approx(median, rel=0.02)
