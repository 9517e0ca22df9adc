"""A microscope's picture in 8-bit gray is read as counts, where that is surely better."""

from __future__ import annotations

from functools import cache

import numpy as np

from mdn.encoding import Display
from mdn.jobs.job import Job
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.zeroshot import as_counts
from mdn.zeroshot.fitting import Fitting, restore
from mdn.zeroshot.plan import FitRequest
from tests.zeroshot.test_zeroshot import Listener, psnr

OPTIONS = Options(precision="fp32")


@cache
def models() -> Models:
    return Models(device="cpu", options=OPTIONS)


def cells(side: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """Spots of light on a dark ground, (H, W, 1) uint8: as they are, and of few photons."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    light = np.full((side, side), 0.02)
    for y, x, r in generator.uniform((0, 0, 1), (side, side, 3), (150, 3)):
        light += np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * r**2))
    light = 0.5 * light / light.max()
    noisy = generator.poisson(light * 12) / 12 + 0.03 + generator.normal(0, 0.01, light.shape)
    pages = (light + 0.03, noisy)
    clean, noisy = (np.rint(255 * page.clip(0, 1)).astype(np.uint8)[..., None] for page in pages)
    return clean, noisy


def fitting(**more) -> Fitting:
    return Fitting(FitRequest(options=OPTIONS, **more), Job(None, None, "x"), Listener())


def test_photons_are_read_as_counts_and_the_fit_is_kept(tmp_path) -> None:
    clean, noisy = cells()
    plain = restore_page(noisy, models().load(), OPTIONS).pixels
    one = fitting(save=tmp_path / "x.fit")
    result = restore(noisy, models(), one)
    assert psnr(result, clean) > psnr(plain, clean) + 0.5
    assert "read as counted light" in one.describe()["summary"][1]
    one.save()
    again = fitting(use=tmp_path / "x.fit")
    assert np.array_equal(restore(noisy, models(), again), result)
    assert "not measured again" in again.describe()["summary"][2]


def test_equal_noise_or_a_picture_cut_off_at_white_stays_as_shown() -> None:
    clean, noisy = cells(96)
    white = clean + np.random.default_rng(1).normal(40, 12, clean.shape)
    bright = 255 - (255.0 - noisy) * 0.2 + np.random.default_rng(1).normal(0, 20, clean.shape)
    for page in (white, bright):
        page = np.rint(page.clip(0, 255)).astype(np.uint8)
        assert as_counts.find(page, Display(page.dtype), models()) is None
