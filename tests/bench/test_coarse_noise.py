"""Noise that neighbours share: made anew, and denoisers ranked by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mdn.bench.no_reference import coarse_noise
from mdn.bench.no_reference.coarse_noise import PART, CoarseNoise
from mdn.bench.no_reference.estimators import MARGIN, Scores, estimate_scores
from mdn.bench.no_reference.ranking import Candidate, ranked, verdict
from tests.bench.test_no_reference import blur, estimate, pair

SIGMA = 12 / 255


def coarse(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Noise whose neighbours are alike, of deviation SIGMA."""
    noise = blur(np.random.default_rng(seed).standard_normal(shape))
    return noise / noise.std() * SIGMA


def known(shape: tuple[int, ...]) -> CoarseNoise:
    """What is known of such noise, from some of it."""
    many = coarse((PART * 4, PART * 4, shape[2]), 9).reshape(4, PART, 4, PART, shape[2])
    parts = many.swapaxes(1, 2).reshape(16, PART, PART, shape[2]) / SIGMA
    return CoarseNoise(np.full(shape, SIGMA), parts)


def neighbours(noise: np.ndarray) -> float:
    return float((noise[:, 1:] * noise[:, :-1]).mean() / (noise**2).mean())


def test_noise_made_anew_is_of_the_same_kind() -> None:
    shape = (128, 160, 3)
    made = known(shape).draw(np.random.default_rng(0))
    real = coarse(shape, 1)
    assert made.shape == shape
    assert made.std() == pytest.approx(SIGMA, rel=0.05)
    assert neighbours(made) == pytest.approx(neighbours(real), abs=0.05)
    assert neighbours(made) > 0.6
    assert abs(np.corrcoef(made.ravel(), real.ravel())[0, 1]) < 0.1


def test_it_follows_the_deviation_of_each_place() -> None:
    noise = known((128, 128, 1))
    deviation = noise.deviation.copy()
    deviation[:64] *= 3
    made = replace(noise, deviation=deviation).draw(np.random.default_rng(0))
    assert made[:64].std() == pytest.approx(3 * made[64:].std(), rel=0.2)


def test_the_error_is_estimated_where_neighbours_share_the_noise() -> None:
    clean, _ = pair()
    noisy = (clean + coarse(clean.shape, 2)).astype(np.float32)
    kind = known(clean.shape)
    reaches = [0, 1, 3, 12]
    true = [float(((blur(noisy, each) - clean) ** 2).mean()) for each in reaches]
    scores = [
        estimate_scores(lambda x, r=each: blur(x, r), noisy, estimate(), 0, kind)
        for each in reaches
    ]
    seen = [each.sure for each in scores]
    assert np.argsort(seen).tolist() == np.argsort(true).tolist()
    assert seen == pytest.approx(true, abs=0.15 * SIGMA**2)
    best = min(scores, key=lambda each: each.sure or 0.0)
    assert (best.masked, best.renoised, best.error) == (None, None, best.sure)
    assert best.margin == pytest.approx(MARGIN * SIGMA**2)


def lines(**errors: float) -> list[Candidate]:
    """Methods with errors in variances of the noise, best first."""
    scores = {n: Scores(each, None, None, 1.0, margin=MARGIN) for n, each in errors.items()}
    return ranked([Candidate(name, each, 0.1) for name, each in scores.items()])


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ({"a": -0.5, "b": 0.4, "noisy": 1.0}, "a is probably best; by how much"),
        ({"a": -0.4, "b": -0.5, "noisy": 1.0}, "b or a is probably best; which of them"),
        ({"a": 1.0, "b": 1.2, "noisy": 0.9}, "the untouched picture or a is probably best"),
        ({"a": 1.0, "noisy": 1.1}, "none of them is clearly better"),
    ],
)
def test_what_cannot_be_told_apart_is_named_together(errors: dict[str, float], words: str) -> None:
    best_first = lines(**errors)
    assert verdict(best_first, None).startswith(words)
    document = best_first[0].document(1)
    assert (document["rank"], document["score"], document["sure"]) == (1, None, None)


def test_it_is_read_where_neighbours_share_it_and_nowhere_else() -> None:
    rows, columns = np.mgrid[:160, :160] / 160
    clean = np.stack([0.3 + 0.3 * rows, 0.6 - 0.2 * columns, 0.4 + 0.2 * rows * columns], -1)
    white = np.random.default_rng(0).standard_normal(clean.shape) * SIGMA
    found = coarse_noise.read((255 * (clean + coarse(clean.shape, 3))).round().astype(np.uint8))
    assert found is not None
    assert found.deviation.mean() == pytest.approx(SIGMA, rel=0.6)
    assert neighbours(found.draw(np.random.default_rng(0))) > 0.4
    for other in (clean + white, clean):
        assert coarse_noise.read((255 * other).round().astype(np.uint8)) is None
    assert coarse_noise.read(np.zeros((40, 40, 1), np.uint8)) is None
