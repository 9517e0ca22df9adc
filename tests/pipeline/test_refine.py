"""The refinement: regression on guides, and telling structure from noise."""

import numpy as np
import pytest
import torch

from mdn.encoding import Hdr
from mdn.pipeline import linear, windows
from mdn.pipeline.options import Options
from mdn.pipeline.refine import Curve, refine
from tests.pipeline.tools import load
from tests.renders import scenes


def planes(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_linear_function_of_the_guides_is_found() -> None:
    guides = planes(3, 20, 24)
    target = torch.stack([2 * guides[0] - guides[1] + 0.3, 5 * guides[2]])
    weights = 0.1 + planes(1, 20, 24, seed=1)
    found = windows.regress(target, guides, weights, 3, 1e-9)
    torch.testing.assert_close(found, target, rtol=1e-4, atol=1e-4)


def test_structure_is_told_from_noise() -> None:
    y, x = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    edge = torch.sin((x + 2 * y) / 3).double()[None]
    line = (x == 24).double()[None] - 0.02
    noise = planes(1, 48, 48) - 0.5
    inner = (slice(None), slice(6, -6), slice(6, -6))
    assert windows.structure(edge)[inner].min() > 0.7
    assert windows.structure(line)[0, 24, 24] > 0.8  # along itself
    assert windows.structure(noise)[inner].mean() < 0.3


@pytest.mark.parametrize("trained", [False, True])
def test_light_is_neither_won_nor_lost(trained: bool) -> None:
    """A net behind a curve takes the mean of curved values: too dark. The refinement mends that."""
    flat = np.full((48, 48, 3), 0.3)
    noisy = scenes.noisy(flat, 5, samples=1.0).astype(np.float32)
    coding = Hdr(mu=30.0)

    shown = coding.encode(noisy)
    answer = coding.decode(np.broadcast_to(shown.mean((0, 1)), shown.shape))
    assert answer.mean() < 0.85 * noisy.mean()
    answers = [answer] if trained else [answer] * 3
    result = refine(Curve(coding), noisy, answers, trained_on_renders=trained)
    assert abs(result.mean() / noisy.mean() - 1) < 0.06


def test_of_few_samples_only_what_is_more_than_noise_is_given_back() -> None:
    random = np.random.default_rng(3)
    guides = random.random((64, 64, 3)).astype(np.float32)
    truth = 0.3 + 0.5 * guides
    noisy = (truth * random.exponential(1, truth.shape)).astype(np.float32)

    def error(answer: np.ndarray) -> float:
        result = refine(Curve(Hdr()), noisy, [answer], guides, trained_on_renders=True)
        return float(np.abs(result - truth).mean())

    assert error(truth) < 0.031  # .037 where all that is regressed counts
    flat = np.full_like(truth, truth.mean())
    assert error(flat) < 0.32 * float(np.abs(flat - truth).mean())


def test_a_net_that_knows_renders_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = np.random.default_rng(0).random((16, 24, 3)).astype(np.float32)
    seen = []

    def alone(light: np.ndarray, *more: object) -> np.ndarray:
        seen.append(light.shape)
        return light

    monkeypatch.setattr(linear, "denoise_light", alone)
    linear.restore(noisy, load("render"), Options())
    assert seen == [(16, 24, 3)]
    linear.restore(noisy, load("photo"), Options())
    assert seen[1:] == [(16, 24, 3), (8, 12, 3), (4, 6, 3)]
