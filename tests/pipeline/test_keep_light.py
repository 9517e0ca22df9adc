"""A denoised render is as bright as the noisy one, and fireflies give nothing."""

from collections.abc import Callable

import numpy as np
import pytest

from mdn.pipeline.linear import keep_light, keep_whole_light


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
    assert np.allclose(keep_whole_light(noisy, truth), truth, rtol=1e-3)


def test_a_little_that_is_lost_everywhere_is_known_of_the_whole_picture() -> None:
    truth, random = light(), np.random.default_rng(2)
    samples = random.exponential(1, truth.shape) * (random.random(truth.shape) < 0.05) * 20
    noisy = (truth * samples).astype(np.float32)  # most pixels are black
    clean = 0.9 * truth
    errors = [
        np.abs(kept.mean((0, 1)) / noisy.mean((0, 1)) - 1).max()
        for kept in (keep_light(noisy, clean), keep_whole_light(noisy, clean))
    ]
    assert errors[1] < 0.5 * errors[0]
    assert errors[1] < 0.04


@pytest.mark.parametrize("side", [1, 7, 8, 65])
@pytest.mark.parametrize("kept", [keep_light, keep_whole_light])
def test_any_size_and_range(
    side: int, kept: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> None:
    black = np.zeros((side, side + 1, 3), np.float32)
    assert not kept(black, black).any()
    bright = black + np.float32(1e30)
    assert np.allclose(kept(bright, bright), bright)
    assert np.isfinite(kept(bright, black)).all()
    assert np.isfinite(kept(black, bright)).all()
