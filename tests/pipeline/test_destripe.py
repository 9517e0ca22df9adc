"""Banding taken out of a whole picture: same in tiles, mixed by strength, told of."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mdn import noise
from mdn.encoding import Display
from mdn.pipeline import destripe
from mdn.pipeline.in_memory import Picture, treatment
from mdn.pipeline.models import Models
from mdn.pipeline.sample import sample_for_estimation
from tests.pipeline import tools
from tests.pipeline.drawn import DRAWN

ENCODE = Display(np.dtype(np.uint8)).encode


def picture(side: int) -> torch.Tensor:
    """A soft scene with edges: (3, side, side)."""
    blobs = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(3))
    soft = F.interpolate(blobs, size=(side, side), mode="bicubic")[0].clamp(0.1, 0.9)
    soft[:, side // 3 : side // 2, side // 4 : side // 2] = 0.75
    return soft


def page_of(kind: str, level: float, height: int = 200, width: int = 264) -> np.ndarray:
    clean = picture(max(height, width))[:, :height, :width]
    noisy = noise.add(clean, kind, level, torch.Generator().manual_seed(0)).clamp(0, 1)
    return (noisy * 255).round().byte().permute(1, 2, 0).numpy()


def denoised(page: np.ndarray, **options) -> np.ndarray:
    return tools.denoised(page, "generalist-s15", **options)


def error(page: np.ndarray) -> float:
    truth = picture(max(page.shape)).permute(1, 2, 0).numpy() * 255
    return float(((page - truth[: page.shape[0], : page.shape[1]]) ** 2).mean())


@pytest.mark.parametrize("kind", ["banding-rows", "banding-columns"])
def test_it_is_found_and_most_of_it_goes(kind: str) -> None:
    page = page_of(kind, 10.0)
    banding = destripe.find(page, ENCODE)
    down, across = banding.sigma
    there, absent = (down, across) if kind == "banding-rows" else (across, down)
    assert (255 * there, absent) == (pytest.approx(10, rel=0.25), 0)
    assert error(denoised(page)) < 0.2 * error(page)


@pytest.mark.parametrize("kind", ["gaussian", "spatial", "poisson", "jpeg"])
def test_no_other_noise_is_taken_for_it(kind: str) -> None:
    assert destripe.find(page_of(kind, noise.get(kind).default), ENCODE) is None


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("sigma", [0.0, 6.0])
def test_nothing_drawn_is_taken_for_it(name: str, sigma: float) -> None:
    white = np.random.default_rng(0).normal(0, sigma, DRAWN[name].shape)
    drawn = (DRAWN[name] + white).round().clip(0, 255).astype(np.uint8)
    assert destripe.find(drawn, ENCODE) is None
    assert destripe.find(drawn.transpose(1, 0, 2).copy(), ENCODE) is None


def test_tiles_agree_with_the_whole_and_strength_mixes() -> None:
    page = page_of("banding-rows", 12.0)
    whole, tiled, half = denoised(page), denoised(page, tile=128), denoised(page, strength=0.5)
    assert np.abs(whole.astype(int) - tiled).max() <= 2
    assert np.abs((whole.astype(int) + page) / 2 - half).max() <= 1


def test_what_is_estimated_of_a_large_picture_is_free_of_it() -> None:
    page = page_of("banding-rows", 10.0, 1100, 1000)
    banding = destripe.find(page, ENCODE)
    with_it, without = (sample_for_estimation(page, ENCODE, each) for each in (None, banding))
    assert with_it.shape == without.shape
    rough = [float((x[:, 1:] - x[:, :-1]).square().mean()) for x in (with_it, without)]
    assert rough[1] < 0.05 * rough[0]


def test_cut_off_samples_stay() -> None:
    page = page_of("banding-rows", 10.0)
    page[:, :20], page[:, 20:40] = 0, 255
    banding = destripe.find(page, ENCODE)
    clean = destripe.without(page, ENCODE, banding)
    assert np.array_equal(clean[:, :40] * 255, page[:, :40])
    assert not np.array_equal(clean[:, 40:] * 255, page[:, 40:])


def test_the_user_is_told() -> None:
    facts = tools.restored(page_of("banding-rows", 10.0), "generalist-s15").describe()
    rows = facts["noise"]["banding"]["rows"]
    assert rows == pytest.approx(10, rel=0.25)
    lines = facts["summary"]
    assert isinstance(lines, list)
    assert lines[0] == f"row banding of sigma {rows:.2g} taken out"
    assert lines[1].endswith("removed")


def test_stripes_leave_counts_as_well() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    light = 3 + 30 * np.exp(-((y - 120) ** 2 + (x - 140) ** 2) / 3000)
    counts = 2 * rng.poisson(light) + 100 + 3 * rng.standard_normal(light.shape)
    rows = 3 * rng.standard_normal((256, 1))
    errors = []
    for noisy in (counts, counts + rows):
        page = np.rint(noisy).astype(np.uint16)[None, ..., None]
        result, _ = treatment(Picture(page), Models(device="cpu"), "counts").restore()
        errors.append(float(np.square((result[0, ..., 0] - 100.0) / 2 - light).mean() ** 0.5))
    assert errors[1] < 3 * errors[0]
    assert errors[1] < 0.5 * rows.std() / 2  # most of the stripes' own
