"""What a net must not see: gaps, outliers, and what is exactly flat."""

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


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_gaps_are_filled_from_around() -> None:
    x = torch.arange(40.0).expand(1, 1, 40, 40).clone()
    gaps = torch.zeros_like(x, dtype=torch.bool)
    gaps[..., 10:20, 10:30] = True
    clean = hidden.filled(x.masked_fill(gaps, torch.nan), gaps)
    assert torch.equal(clean[~gaps], x[~gaps])
    assert float((clean - x)[gaps].abs().max()) < 10
    none = torch.ones_like(gaps)
    assert bool(hidden.filled(torch.full_like(x, torch.nan), none).isfinite().all())


@pytest.mark.parametrize("value", [1e5, -1e5, 3.4e38])
def test_no_share_of_one_percent_sets_what_is_usual(value: float) -> None:
    values = 100 + 10 * noise(200, 200).double().numpy()
    struck = values.copy()
    struck[50:57, 50:106] = value  # 1 %, as a scale bar
    usual = hidden.usual_samples(struck, np.ones(values.shape, bool))
    assert usual.mean() > 0.985
    assert not usual[50:57, 50:106].any()
    assert hidden.usual_samples(values, np.ones(values.shape, bool)).all()


def test_a_constant_of_any_share_far_from_the_rest_is_no_data() -> None:
    values = 100 + 10 * noise(100, 100).double().numpy()
    values[:40] = -9999
    values[60:, :30] = 1e20
    usual = hidden.usual_samples(values, np.ones(values.shape, bool))
    assert (usual == (np.abs(values) < 5000)).all()


def test_few_photons_are_no_outliers() -> None:
    photons = np.random.default_rng(0).poisson(0.02, (100, 100)).astype(float)
    assert hidden.usual_samples(photons, np.ones(photons.shape, bool)).all()


@pytest.mark.parametrize("turned", [False, True])
def test_drawn_gradients_are_flat_and_banding_is_not(turned: bool) -> None:
    x = noise(1, 1, 60, 80)
    x[..., 10:40, 20:60] = torch.linspace(3, -2, 30)[:, None]
    wanted = torch.zeros_like(x, dtype=torch.bool)
    wanted[..., 10:40, 20:60] = True
    rows = noise(1, 1, 60, 1, seed=2).expand_as(x).clone()
    rows[..., 70:] = x[..., 70:]
    if turned:
        x, wanted, rows = (pixels.transpose(2, 3) for pixels in (x, wanted, rows))
    assert torch.equal(hidden.flat_areas(x, hidden.FLAT), wanted)
    assert not hidden.flat_areas(rows, hidden.FLAT).any()


@pytest.mark.parametrize("value", [-20.0, 10.0, 500.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_lettering_of_any_value_is_found_in_noise(value: float, channels: int) -> None:
    """Thin strokes that are no outliers: by what is beside them, not by the range."""
    x = noise(1, channels, 60, 80)
    letters = torch.zeros(1, 1, 60, 80, dtype=torch.bool)
    letters[..., 10:40, 5] = letters[..., 20, 5:30] = letters[..., 50:53, 60:63] = True
    x = torch.where(letters, torch.tensor(value), x)
    assert torch.equal(hidden.marks(x, 1.0), letters)
    clipped = x.clamp(-1, 1)  # what is cut off among noise is none
    assert not hidden.marks(clipped, 1.0).any()


def test_smoothed_edges_belong_to_lettering() -> None:
    x = noise(1, 1, 60, 80)
    x[..., 20:24, 5:60] = 100.0
    x[..., 19, 5:60] += 40
    x[..., 24, 5:60] += 60
    assert bool(hidden.marks(x, 1.0)[..., 19:25, 5:60].all())
    assert int(hidden.marks(x, 1.0).sum()) == 6 * 55


def test_whole_numbers_under_noise_hold_no_marks() -> None:
    x = noise(1, 1, 200, 200)
    for sigma in (0.4, 1.0, 5.0):
        assert not hidden.marks((sigma * x).round() / 255, sigma / 255).any()


def test_flat_areas_to_the_pixel() -> None:
    x = noise(1, 3, 60, 80)
    x[..., 10:40, 5:50] = 0.5
    assert hidden.flat_side(x[0]) == hidden.FLAT
    flat = hidden.flat_areas(x, hidden.FLAT)[0, 0]
    wanted = torch.zeros_like(flat)
    wanted[10:40, 5:50] = True
    assert torch.equal(flat, wanted)


def test_lettering_between_flat_areas_stays_and_noise_beside_them_does_not() -> None:
    page = torch.full((1, 1, 90, 90), 0.9)
    page[..., 20:27, 10:80:3] = 0.1  # strokes
    page[..., 45:, 30:] = 0.5 + 0.05 * noise(45, 60)
    kept = hidden.kept_areas(page, hidden.FLAT, 0.05)[0, 0]
    assert bool(kept[:40].all())
    assert not bool(kept[45:, 30:].any())


def test_few_photons_and_weak_noise_have_no_flat_areas() -> None:
    for mean in (0.02, 0.1, 0.5):
        photons = np.random.default_rng(1).poisson(mean, (1, 256, 256))
        x = torch.from_numpy(photons.astype(np.float32))
        side = hidden.flat_side(x)
        assert not side or float(hidden.flat_areas(x[None], side).float().mean()) < 0.01
    faint = (100 + 0.5 * noise(1, 256, 256)).round()
    assert hidden.flat_side(faint) == 0


def test_labels_are_drawn_and_photons_are_not() -> None:
    y, x = np.mgrid[:128, :128]
    labels = torch.from_numpy(((y // 20) * 7 + x // 23).astype(np.float32))[None]
    assert hidden.is_drawn(labels)
    photons = torch.from_numpy(np.random.default_rng(1).poisson(0.05, (1, 128, 128)))
    assert not hidden.is_drawn(photons.float())


def test_salt_and_pepper_on_a_flat_page_is_removed() -> None:
    models = Models("photo-fast", device="cpu", options=Options(precision="fp32"))
    page = np.full((128, 128, 3), 120, np.uint8)
    page[:, 64:] += np.arange(64, dtype=np.uint8)[:, None] // 16
    rng = np.random.default_rng(3)
    struck = page.copy()
    marks = rng.random(page.shape[:2]) < 0.004
    struck[marks] = np.where(rng.random((int(marks.sum()), 1)) < 0.5, 0, 255)
    clean = restore_page(struck, models.load(), models.options()).pixels
    assert np.abs(clean[marks].astype(int) - page[marks]).mean() < 10


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
