"""A denoised render is as bright as the noisy one, and fireflies give nothing."""

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
    assert (kept.dtype, kept.mean()) == (np.float32, pytest.approx(truth.mean(), rel=0.01))
    assert np.abs(kept - truth).max() < 0.5 * np.abs(clean - truth).max()


def test_of_nothing_lost_nothing_is_made() -> None:
    """Beyond what chance has lit more brightly."""
    truth = light()
    noisy = truth * np.random.default_rng(1).exponential(1, truth.shape).astype(np.float32)
    assert np.abs(keep_light(noisy, truth) / truth - 1).mean() < 0.006


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
