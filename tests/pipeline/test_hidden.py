"""What a net must not see: gaps, outliers, and what is exactly flat."""

import numpy as np
import torch
from torch import Tensor

from mdn.pipeline import hidden
from mdn.pipeline.in_memory import Picture
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.pipeline.plan import plan_display
from mdn.pipeline.restore import restore


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_few_photons_are_no_outliers() -> None:
    photons = np.random.default_rng(0).poisson(0.02, (100, 100)).astype(float)
    assert hidden.usual_samples(photons, np.ones(photons.shape, bool)).all()


def test_whole_numbers_under_noise_hold_no_marks() -> None:
    x = noise(1, 1, 200, 200)
    for sigma in (0.4, 1.0, 5.0):
        assert not hidden.marks((sigma * x).round() / 255, sigma / 255).any()


def test_few_photons_and_weak_noise_have_no_flat_areas() -> None:
    for mean in (0.02, 0.1, 0.5):
        photons = np.random.default_rng(1).poisson(mean, (1, 256, 256))
        x = torch.from_numpy(photons.astype(np.float32))
        side = hidden.flat_side(x)
        assert not side or float(hidden.flat_areas(x[None], side).float().mean()) < 0.01
    faint = (100 + 0.5 * noise(1, 256, 256)).round()
    assert hidden.flat_side(faint) == 0


def test_a_mask_protects_to_the_bit() -> None:
    models = Models("photo-fast", device="cpu", options=Options(precision="fp32"))
    rng = np.random.default_rng(4)
    page = rng.normal(0.5, 0.1, (64, 64, 3)).astype(np.float64)
    mask = np.zeros((64, 64), np.float32)
    mask[:, 32:] = 1
    result = np.empty_like(page)
    where = Picture(page[None], protect=mask).page(0, result)
    restore(where, [plan_display(where, models.load(), models.options()).part])
    assert np.array_equal(result[:, 32:], page[:, 32:])
    assert (result[:, :32] != page[:, :32]).mean() > 0.9
