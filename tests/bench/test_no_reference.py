"""Scores without ground truth, against cases whose truth is known."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mdn.bench.no_reference import estimators
from mdn.bench.no_reference.estimators import (
    Scores,
    confidence,
    estimate_scores,
    psnr,
    renoise,
    variance_map,
    with_renoised,
)
from mdn.bench.no_reference.ranking import Candidate, hit_rate, middle, ranked, verdict
from mdn.noise.analysis.estimate import NoiseEstimate


def estimate(sigma: float = 25.0, **changes: object) -> NoiseEstimate:
    """White Gaussian noise of that level, in one channel, or what `changes` make of it."""
    facts = {
        "channel_sigmas": (sigma / 255,),
        "brightness": (0.5,),
        "variance": ((sigma / 255) ** 2,),
        "gain": 0.0,
        "offset": (sigma / 255) ** 2,
        "curve": ((sigma / 255) ** 2, 0.0, 0.0),
        "signal_dependent": False,
        "neighbours": (0.0, 0.0),
        "correlated": False,
        "low_frequency_sigma": sigma / 255,
        "impulses": 0.0,
        "impulsive": False,
    }
    return NoiseEstimate(**(facts | changes))  # type: ignore[arg-type]


def pair(sigma: float = 25.0, side: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture (side, side, 1) and its noisy version, float32."""
    across = np.linspace(0, 3 * np.pi, side)
    clean = 0.5 + 0.2 * np.sin(across)[:, None] * np.cos(across)[None]
    noise = np.random.default_rng(3).standard_normal((side, side)) * sigma / 255
    return clean[..., None].astype(np.float32), (clean + noise)[..., None].astype(np.float32)


def blur(x: np.ndarray, reach: int = 1) -> np.ndarray:
    """A mean over (2 reach + 1)^2 pixels."""
    grown = np.pad(x, ((reach, reach), (reach, reach), (0, 0)), "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(grown, (2 * reach + 1,) * 2, (0, 1))
    return windows.mean((-1, -2)).astype(np.float32)


@pytest.mark.parametrize("reach", [0, 1, 2, 8])
def test_sure_is_the_error_that_it_cannot_see(reach: int) -> None:
    clean, noisy = pair()
    error = float(((blur(noisy, reach) - clean) ** 2).mean())
    scores = estimate_scores(lambda x: blur(x, reach), noisy, estimate())
    assert scores.sure == pytest.approx(error, abs=0.05 * (25 / 255) ** 2)


def test_the_masked_error_ranks_blurs_as_the_truth_does() -> None:
    clean, noisy = pair()
    reaches = [1, 3, 12]
    true = [float(((blur(noisy, each) - clean) ** 2).mean()) for each in reaches]
    seen = [
        estimate_scores(lambda x, r=each: blur(x, r), noisy, estimate()).masked for each in reaches
    ]
    assert np.argsort(seen).tolist() == np.argsort(true).tolist()
    assert seen[1] == pytest.approx(true[1], abs=0.15 * (25 / 255) ** 2)


def test_a_residual_with_structure_is_not_white() -> None:
    clean, noisy = pair(10)
    good = estimate_scores(lambda x: clean, noisy, estimate(10))
    bad = estimate_scores(lambda x: np.full_like(x, 0.5), noisy, estimate(10))
    assert good.whiteness is not None
    assert bad.whiteness is not None
    assert good.whiteness < 0.03 < 0.5 < bad.whiteness
    assert good.taken == pytest.approx(1, abs=0.05)
    assert estimate_scores(lambda x: x, noisy, estimate(10)).whiteness is None


def test_what_the_noise_does_not_allow_is_left_out() -> None:
    _, noisy = pair()
    correlated = estimate_scores(blur, noisy, estimate(correlated=True))
    assert (correlated.sure, correlated.masked, correlated.error) == (None, None, None)
    impulsive = estimate_scores(blur, noisy, estimate(impulsive=True, impulses=0.01))
    assert impulsive.sure is None
    assert impulsive.masked is not None
    assert impulsive.error == pytest.approx(impulsive.masked)
    assert estimate_scores(blur, noisy, estimate(0.1)).error is None


def test_impulses_do_not_count_as_errors() -> None:
    clean, noisy = pair(5)
    struck = noisy.copy()
    struck[np.random.default_rng(1).random(struck.shape) < 0.02] = 1.0
    kind = estimate(5, impulsive=True, impulses=0.02)
    calm = estimate_scores(lambda x: clean, noisy, kind).masked
    assert estimate_scores(lambda x: clean, struck, kind).masked == pytest.approx(
        calm, abs=1e-3
    )  # 0.006 of them


def test_the_variance_follows_brightness_and_clipping() -> None:
    flat = np.full((40, 40, 1), 0.4, np.float32)
    growing = estimate(signal_dependent=True, curve=(0.001, 0.01, 0.0))
    assert variance_map(flat, growing) == pytest.approx(np.full(flat.shape, 0.005), rel=1e-5)
    random = np.random.default_rng(0)
    black = (0.2 * random.standard_normal((200, 200, 1))).clip(0, 1).astype(np.float32)
    seen = variance_map(black, estimate(0.2 * 255)).mean()
    assert seen == pytest.approx(black.var(), rel=0.15)


def test_confidence_is_certain_of_the_better_and_torn_between_equals() -> None:
    random = np.random.default_rng(0)
    base = 0.01 + 0.002 * random.standard_normal((2, 64))

    def scored(blocks: np.ndarray) -> Scores:
        sure, masked = blocks.mean(1)
        return Scores(float(sure), float(masked), None, 1.0, blocks)

    better, worse = scored(base), scored(1.2 * base)
    assert confidence(better, [worse]) == 1
    assert confidence(worse, [better]) == 0
    twin = scored(base + 0.002 * random.standard_normal((2, 64)))
    torn = confidence(better, [twin])
    assert torn is not None
    assert 0.02 < torn < 0.98
    assert confidence(better, [twin]) == torn
    assert confidence(better, [Scores(0.01, None, None, 1.0)]) is None
    assert confidence(scored(base[:, :4]), [scored(base[:, :4])]) is None  # too small a picture


def test_the_renoised_error_ranks_blurs_as_the_truth_does() -> None:
    clean, noisy = pair()
    reaches = [0, 1, 3, 12]
    true = [float(((blur(noisy, each) - clean) ** 2).mean()) for each in reaches]
    consensus = np.median([blur(noisy, each) for each in reaches[1:]], 0)
    again = renoise(consensus, noisy, estimate(), 0)
    assert (again - consensus).std() == pytest.approx(25 / 255, rel=0.03)
    plain = Scores(0.5, 0.5, None, 1.0)
    seen = [with_renoised(plain, blur(again, each), consensus) for each in reaches]
    assert np.argsort([each.error for each in seen]).tolist() == np.argsort(true).tolist()
    assert seen[1].error == pytest.approx(true[1], rel=0.2)
    assert confidence(seen[2], [seen[0], seen[1], seen[3]]) == pytest.approx(1, abs=0.05)


def test_blocks_average_to_the_scores() -> None:
    _, noisy = pair()
    scores = estimate_scores(blur, noisy, estimate())
    assert scores.blocks is not None
    assert scores.blocks.shape == (2, 64)  # of 16 pixels, on 128
    assert scores.blocks.mean(1) == pytest.approx([scores.sure, scores.masked], rel=1e-6)


@pytest.mark.parametrize(
    ("sureness", "words"),
    [
        (0.99, "net is best, about 3.0 dB better than the untouched picture"),
        (0.8, r"net is probably best \(80%\)"),
        (0.4, "too close to tell apart"),
        (None, "too small"),
    ],
)
def test_the_verdict_is_a_plain_sentence(sureness: float | None, words: str) -> None:
    lines = [line("net", 0.001, 1), line("noisy", 0.002, 1)]
    assert re.search(words, verdict(lines, sureness))


def test_the_verdict_where_nothing_can_be_ranked() -> None:
    assert verdict([line("net", None, 1), line("noisy", None, 1)], None).startswith("cannot rank")
    assert (
        verdict([line("net", 0.1, 1), line("noisy", None, 1)], None) == "only net could be judged"
    )


def line(name: str, error: float | None, truth: float) -> Candidate:
    return Candidate(name, Scores(error, None, None, 1.0), 0.1, truth)


def test_hit_rates() -> None:
    right = [line("a", 0.01, 0.02), line("b", 0.02, 0.03), line("c", 0.04, 0.04)]
    wrong = [line("a", 0.03, 0.01), line("b", 0.02, 0.1), line("c", 0.04, 0.2)]
    hits = hit_rate([("x", right), ("y", wrong)], "score")
    assert hits is not None
    assert (hits.pictures, hits.best) == (2, 0.5)
    assert hits.pairs == pytest.approx(5 / 6)
    assert hits.regret == pytest.approx(5.0)  # one of two lost 10 dB
    assert hit_rate([("x", right)], "masked") is None
    assert hits.in_words(3) == (
        "The best comes first on 1 of 2 pictures (50%; on others like them probably 9% to 91%). "
        "Taking the first costs 5.00 dB on average; 1 could not be ranked."
    )


def test_the_best_comes_first_and_the_unknown_last() -> None:
    lines = [line("none", None, 1), line("worse", 0.2, 1), line("better", -0.001, 1)]
    assert [each.name for each in ranked(lines)] == ["better", "worse", "none"]
    assert psnr(-0.001) == pytest.approx(60)


def test_large_pictures_are_scored_by_their_middle() -> None:
    page = np.zeros((900, 20, 3))
    page[450, 10] = 1
    assert middle(page).shape == (512, 20, 3)
    assert middle(page)[256, 10, 0] == 1
    assert estimators.STRIDE < 16
