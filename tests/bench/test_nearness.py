"""Noise that neighbours share: denoisers ranked by how near they come to `photo`."""

from __future__ import annotations

import numpy as np
import pytest

from mdn.bench.no_reference import nearness
from mdn.bench.no_reference.estimators import Scores, confidence, estimate_scores
from mdn.bench.no_reference.ranking import Candidate, ranked, verdict
from tests.bench.test_no_reference import blur, estimate, pair

SIGMA = 12 / 255


def coarse(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Noise whose neighbours are alike, of deviation SIGMA."""
    noise = blur(np.random.default_rng(seed).standard_normal(shape))
    return noise / noise.std() * SIGMA


def test_blurs_are_ranked_as_the_truth_does() -> None:
    clean, _ = pair()
    noisy = (clean + coarse(clean.shape, 2)).astype(np.float32)
    near = clean + 0.2 * coarse(clean.shape, 3)
    reaches = [0, 1, 3, 12]
    true = [float(((blur(noisy, each) - clean) ** 2).mean()) for each in reaches]
    scores = [
        estimate_scores(lambda x, r=each: blur(x, r), noisy, estimate(), 0, near)
        for each in reaches
    ]
    assert np.argsort([each.error for each in scores]).tolist() == np.argsort(true).tolist()
    assert (scores[0].sure, scores[0].masked, scores[0].renoised) == (None, None, None)
    assert scores[0].taken == 0
    assert 0.5 < scores[2].taken < 1.5


def scored(away: np.ndarray) -> Scores:
    return Scores(None, None, None, 1.0, away=away)


def test_sureness_is_high_for_the_nearest_and_low_between_results_as_near_as_one_another() -> None:
    one, other = np.random.default_rng(0).standard_normal((2, 20, 20, 3))
    reference = np.zeros_like(one)
    assert nearness.sureness(reference, one) == pytest.approx(0.84, abs=0.005)
    assert nearness.sureness(one, 1.01 * other) == pytest.approx(0.5, abs=0.05)
    assert nearness.sureness(one, one) == 0.5
    sure = [nearness.sureness(one, k * one) for k in (1.1, 2, 5)]
    assert sure == pytest.approx([0.84] * 3, abs=0.005)  # farther in the same direction
    assert confidence(scored(one / 2), [scored(one), scored(other / 1.9)]) == pytest.approx(
        nearness.sureness(one / 2, other / 1.9)
    )


def test_the_verdict_gives_no_decibels() -> None:
    random = np.random.default_rng(0)
    near, far = (k * random.standard_normal((16, 16, 3)) for k in (0.01, 0.1))
    lines = ranked([Candidate("b", scored(far), 0.1), Candidate("a", scored(near), 0.1)])
    sureness = confidence(lines[0].scores, [lines[1].scores])
    words = "a is probably best (84%); by how much cannot be told, since neighbours share the noise"
    assert verdict(lines, sureness) == words
    assert verdict(lines, 0.6).startswith("a and b are too close to tell apart")
    document = lines[0].document(1)
    assert (document["rank"], document["score"], document["sure"]) == (1, None, None)


def test_there_is_a_reference_where_neighbours_share_the_noise_and_nowhere_else() -> None:
    rows, columns = np.mgrid[:160, :160] / 160
    clean = np.stack([0.3 + 0.3 * rows, 0.6 - 0.2 * columns, 0.4 + 0.2 * rows * columns], -1)
    white = np.random.default_rng(0).standard_normal(clean.shape) * SIGMA
    noisy = (255 * (clean + coarse(clean.shape, 3))).round().astype(np.uint8)
    found = nearness.reference(noisy)
    assert found is not None
    assert found.shape == clean.shape
    assert ((found - clean) ** 2).mean() < 0.5 * SIGMA**2
    for other in (clean + white, clean):
        assert nearness.reference((255 * other).round().astype(np.uint8)) is None
    assert nearness.reference(np.zeros((40, 40, 1), np.uint8)) is None
