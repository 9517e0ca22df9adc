"""Remarks on noise that a model never saw, and grain given back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mdn import noise
from mdn.noise.estimate import estimate
from mdn.pipeline.model_warnings import warnings_for
from mdn.pipeline.restore_grain import fine_grain
from mdn.registry import store
from tests.pipeline.tools import denoised


def seen(kind: str, level: float):
    clean = torch.linspace(0.2, 0.8, 256).expand(3, 256, 256)
    made = noise.add(clean, kind, level, torch.Generator().manual_seed(0))
    return estimate((made.clamp(0, 1) * 255).round() / 255)


CARD = replace(store.find("photo"), noise_seen=("gaussian 0-60", "poisson 0.3-4"))


def test_noise_that_was_seen_is_passed_over() -> None:
    assert warnings_for(CARD, seen("gaussian", 25)) == []


def test_stronger_noise_is_remarked_on() -> None:
    (line,) = warnings_for(CARD, seen("gaussian", 90))
    assert "stronger than photo was trained on (60)" in line


def test_correlated_noise_is_remarked_on_unless_it_was_seen() -> None:
    spatial = seen("spatial", 50)
    (line,) = warnings_for(CARD, spatial)
    assert "neighbouring pixels" in line
    assert warnings_for(replace(CARD, noise_seen=("spatial 10-60",)), spatial) == []


def test_a_model_that_tells_nothing_gets_no_warnings_for() -> None:
    assert warnings_for(replace(CARD, noise_seen=()), seen("gaussian", 90)) == []


def test_grain_is_fine_and_has_no_colour() -> None:
    generator = torch.Generator().manual_seed(0)
    taken = torch.randn(1, 3, 64, 64, generator=generator)
    clean = torch.zeros(1, 3, 64, 64)
    back = fine_grain(taken, clean)
    assert back.shape == (1, 1, 64, 64)
    assert float(back.std()) == pytest.approx(3**-0.5, rel=0.1)
    assert float(fine_grain(clean + 0.3, clean).abs().max()) < 1e-6


def test_detail_gives_back_some_of_what_was_taken() -> None:
    generator = np.random.default_rng(0)
    page = (128 + 20 * generator.standard_normal((96, 96, 3))).clip(0, 255).astype(np.uint8)
    smooth, grainy = (denoised(page, "photo", detail=detail) for detail in (0.0, 0.5))
    assert grainy.std() > smooth.std() + 2
