"""Pictures that hold next to nothing, and what a net must not see of others."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mdn.pipeline import hidden
from mdn.pipeline.in_memory import Picture, restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.pipeline.plan import plan_display
from mdn.pipeline.restore import restore
from mdn.registry import store
from mdn.registry.model import Model, load_model
from tests.pipeline.tools import load

FAR = 24  # of 255: how far a sample of such a picture may move


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(store.find("photo-fast"), torch.device("cpu"))


def restored(page: np.ndarray, model: Model) -> np.ndarray:
    found = restore_page(page, model, Options(precision="fp32")).pixels
    assert (found.shape, found.dtype) == (page.shape, page.dtype)
    return found


@pytest.mark.parametrize("height", [1, 2, 5, 8])
@pytest.mark.parametrize("width", [1, 3, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_few_pixels(model: Model, height: int, width: int, channels: int) -> None:
    random = np.random.default_rng(height * width)
    page = random.integers(90, 120, (height, width, channels), np.uint8)
    found = restored(page, model)
    assert np.abs(found.astype(int) - page).max() <= FAR


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_one_colour_stays(model: Model, value: int) -> None:
    page = np.full((40, 50, 3), value, np.uint8)
    np.testing.assert_array_equal(restored(page, model), page)


def test_a_dead_channel_stays_nearly_dead(model: Model) -> None:
    random = np.random.default_rng(1)
    page = random.normal(128, 20, (64, 64, 3)).clip(0, 255).astype(np.uint8)
    page[..., 2] = 0
    found = restored(page, model)
    assert found[..., 2].max() <= FAR
    assert found[..., 0].std() < page[..., 0].std()


def test_sixteen_bits_of_one_step(model: Model) -> None:
    page = np.full((48, 48, 3), 30000, np.uint16)
    page[::2] += 1
    found = restored(page, model)
    assert np.abs(found.astype(int) - page).max() <= 2


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


def test_noise_of_a_cut_out_is_that_of_the_whole() -> None:
    """Most programs write black where nothing is to be seen."""
    rng = np.random.default_rng(5)
    rows = np.linspace(60, 200, 320)
    clean = np.stack([rows[:, None] + 30 * np.sin(rows / (9 + n)) for n in range(3)], -1)
    noisy = np.rint((clean + rng.normal(0, 20, clean.shape)).clip(0, 255)).astype(np.uint8)
    y, x = np.mgrid[:320, :320]
    opaque = np.hypot(y - 170, x - 150) < 100
    cut = np.where(opaque[..., None], noisy, np.uint8(0))
    alpha = opaque.astype(np.uint8)
    found = restore_page(cut, load("photo-fast"), Options(precision="fp32"), alpha=alpha)
    assert abs(255 * found.noise.level - 20) < 3
    error = (found.pixels[opaque].astype(float) - clean[opaque]).std()
    assert error < 0.5 * (cut[opaque].astype(float) - clean[opaque]).std()
