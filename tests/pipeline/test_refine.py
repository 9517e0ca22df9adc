"""The refinement: regression on guides, and telling structure from noise."""

import numpy as np
import torch

from mdn.encoding import Hdr
from mdn.pipeline import windows
from mdn.pipeline.linear import refine
from mdn.renders import fireflies, light_sums, repair
from mdn.renders.fireflies import Rule
from tests.renders import scenes


def planes(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_mean_counts_only_what_is_there() -> None:
    ones = torch.ones(2, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(windows.mean(ones, 4), ones)
    ramp = torch.arange(5.0, dtype=torch.float64)[None, None]
    assert windows.mean(ramp, 1).flatten().tolist() == [0.5, 1, 2, 3, 3.5]


def test_a_linear_function_of_the_guides_is_found() -> None:
    guides = planes(3, 20, 24)
    target = torch.stack([2 * guides[0] - guides[1] + 0.3, 5 * guides[2]])
    weights = 0.1 + planes(1, 20, 24, seed=1)
    found = windows.regress(target, guides, weights, 3, 1e-9)
    torch.testing.assert_close(found, target, rtol=1e-4, atol=1e-4)


def test_without_guides_it_is_a_mean() -> None:
    target = planes(2, 9, 9)
    none = torch.empty(0, 9, 9, dtype=torch.float64)
    weights = torch.ones(1, 9, 9, dtype=torch.float64)
    expected = windows.mean(windows.mean(target, 2), 2)
    torch.testing.assert_close(windows.regress(target, none, weights, 2, 1e-3), expected)


def test_structure_is_told_from_noise() -> None:
    y, x = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    edge = torch.sin((x + 2 * y) / 3).double()[None]
    line = (x == 24).double()[None] - 0.02
    noise = planes(1, 48, 48) - 0.5
    inner = (slice(None), slice(6, -6), slice(6, -6))
    assert windows.structure(edge)[inner].min() > 0.7
    assert windows.structure(line)[0, 24, 24] > 0.8  # along itself
    assert windows.structure(noise)[inner].mean() < 0.3


def test_any_size_and_any_number_of_channels() -> None:
    for shape in ((1, 1, 3), (1, 5, 1), (2, 3, 3), (7, 1, 3), (9, 8, 4)):
        noisy = np.random.default_rng(0).random(shape).astype(np.float32)
        guides = np.random.default_rng(1).random((*shape[:2], 2)).astype(np.float32)
        for given in (None, guides):
            result = refine(noisy, noisy, guides=given)
            assert result.shape == shape
            assert np.isfinite(result).all()


def test_light_is_neither_won_nor_lost() -> None:
    """A net behind a curve takes the mean of curved values: too dark. The refinement mends that."""
    flat = np.full((48, 48, 3), 0.3)
    noisy = scenes.noisy(flat, 5, samples=1.0).astype(np.float32)
    coding = Hdr(mu=30.0)

    shown = coding.encode(noisy)
    answer = coding.decode(np.broadcast_to(shown.mean((0, 1)), shown.shape))
    assert answer.mean() < 0.85 * noisy.mean()
    assert abs(refine(noisy, answer).mean() / noisy.mean() - 1) < 0.06


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
    assert error(flat) < 0.32 * float(np.abs(flat - truth).mean())


def test_bad_samples_take_the_mean_of_their_neighbours() -> None:
    picture = np.full((6, 6, 3), 2.0, np.float32)
    picture[2, 2, 0] = np.nan
    picture[0:4, 4:6] = np.inf
    assert np.all(repair.finite(picture) == 2)
    assert np.all(repair.finite(np.full((3, 3, 1), np.nan, np.float32)) == 0)


def test_a_firefly_is_rebuilt_and_edges_stay() -> None:
    picture = np.ones((20, 20, 3), np.float32)
    picture[:, 10:] = 5  # an edge is none
    picture[4, 4] = (90, 60, 30)
    mask = fireflies.mask(picture, Rule(6.0, exceptions=False))
    assert np.argwhere(mask).tolist() == [[4, 4]]
    calm = fireflies.rebuilt(picture, mask)
    np.testing.assert_allclose(calm[4, 4], 1)
    assert np.array_equal(calm[~mask], picture[~mask])


def test_sharing_out_a_difference() -> None:
    random = np.random.default_rng(0)
    terms = [random.random((8, 8)).astype(np.float32) * k for k in (1, 10, 0)]
    total = np.sum(terms, 0) * 1.1 - 0.05
    free = [np.array([-1.0, 99.0])] * 3
    shared, summed = light_sums.kept(total, terms, free, 99.0)
    np.testing.assert_allclose(np.sum(shared, 0), total, rtol=1e-5)
    np.testing.assert_allclose(summed, total, rtol=1e-5)
    assert np.all(shared[2] == 0)  # a light that is off stays off


def test_shares_and_their_sum_stay_within_bounds() -> None:
    random = np.random.default_rng(0)
    terms = [random.random((8, 8)).astype(np.float32) for _ in range(2)]
    bounds = [np.array([0.0, 0.9]), np.array([0.0, 0.5])]
    shared, summed = light_sums.kept(np.sum(terms, 0) * 1.5, terms, bounds, 1.2)
    for plane, (low, high) in zip(shared, bounds, strict=True):
        assert low <= plane.min()
        assert plane.max() <= high
    assert summed.max() <= np.float32(1.2)
    np.testing.assert_allclose(np.sum(shared, 0), summed, rtol=1e-6)
