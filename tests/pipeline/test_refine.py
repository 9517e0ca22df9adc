"""The refinement of renders: regression on guides, and as much light as before."""

import numpy as np

from mdn.encoding import Hdr
from mdn.pipeline.linear import keep_light, keep_whole_light, refine
from tests.renders import scenes


def test_light_is_neither_won_nor_lost() -> None:
    """A net behind a curve takes the mean of curved values: too dark. The refinement mends that."""
    flat = np.full((48, 48, 3), 0.3)
    noisy = scenes.noisy(flat, 5, samples=1.0).astype(np.float32)
    coding = Hdr(mu=30.0)

    shown = coding.encode(noisy)
    answer = coding.decode(np.broadcast_to(shown.mean((0, 1)), shown.shape))
    assert answer.mean() < 0.85 * noisy.mean()
    result = keep_light(noisy, keep_whole_light(noisy, refine(noisy, answer)))
    assert abs(result.mean() / noisy.mean() - 1) < 0.06


def test_of_few_samples_only_what_is_more_than_noise_is_given_back() -> None:
    random = np.random.default_rng(3)
    guides = random.random((64, 64, 3)).astype(np.float32)
    truth = 0.3 + 0.5 * guides
    noisy = (truth * random.exponential(1, truth.shape)).astype(np.float32)

    def error(answer: np.ndarray) -> float:
        result = refine(noisy, answer, guides=guides)
        return float(np.abs(result - truth).mean())

    assert error(truth) < 0.031  # .037 where all that is regressed counts
    flat = np.full_like(truth, truth.mean())
    assert error(flat) < 0.8 * float(np.abs(flat - truth).mean())


def test_no_holes_are_made_where_the_rare_bright_samples_are_missing() -> None:
    """One sample in 50 holds most of the light: most windows see less than the mean."""
    random = np.random.default_rng(4)
    truth = np.full((96, 96, 3), 0.4, np.float32)
    bright = random.random((96, 96, 1)) < 0.02
    noisy = (truth * np.where(bright, 40.0, 0.2)).astype(np.float32)
    assert refine(noisy, truth).min() >= 0.94 * 0.4


def light(side: int = 160) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / side
    return np.stack([0.3 + 0.2 * y, 0.5 - 0.3 * x, 0.1 + x * y], -1).astype(np.float32)


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
