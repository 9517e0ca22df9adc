"""A denoised render is as bright as the noisy one, and fireflies give nothing."""

from __future__ import annotations

import numpy as np
import pytest

from mdn.pipeline.linear import keep_light


def light(side: int = 160) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / side
    return np.stack([0.3 + 0.2 * y, 0.5 - 0.3 * x, 0.1 + x * y], -1).astype(np.float32)


def test_light_that_was_lost_comes_back() -> None:
    truth = light()
    noisy = truth * np.random.default_rng(0).exponential(1, truth.shape).astype(np.float32)
    clean = truth * (1 - 0.4 * truth)  # the brighter, the more
    kept = keep_light(noisy, clean)
    assert kept.dtype == np.float32
    assert kept.mean() == pytest.approx(truth.mean(), rel=0.01)
    assert np.abs(kept - truth).max() < 0.5 * np.abs(clean - truth).max()


def test_of_nothing_lost_nothing_is_made() -> None:
    """Beyond what chance has lit more brightly."""
    truth = light()
    noisy = truth * np.random.default_rng(1).exponential(1, truth.shape).astype(np.float32)
    assert np.abs(keep_light(noisy, truth) / truth - 1).mean() < 0.006


def test_a_firefly_adds_nothing() -> None:
    truth = light()
    noisy = truth.copy()
    noisy[80, 60] += 1e4
    assert np.allclose(keep_light(noisy, truth), truth, rtol=1e-3)


@pytest.mark.parametrize("side", [1, 7, 8, 65])
def test_any_size_and_range(side: int) -> None:
    black = np.zeros((side, side + 1, 3), np.float32)
    assert not keep_light(black, black).any()
    bright = black + np.float32(1e30)
    assert np.allclose(keep_light(bright, bright), bright)
    assert np.isfinite(keep_light(bright, black)).all()
    assert np.isfinite(keep_light(black, bright)).all()
