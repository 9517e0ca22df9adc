"""Noise that no model knows: found by `mdn zeroshot`, taken out, and kept for other pictures."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from mdn import noise
from mdn.errors import FileError
from mdn.jobs.job import Job
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.zeroshot.fitting import Fitting
from mdn.zeroshot.plan import FitRequest
from tests.zeroshot.test_zeroshot import Listener, psnr, scene

SIDE = 192
OPTIONS = Options(precision="fp32")
OLDER = {"drift": True, "frequencies": (), "layers": None, "curve": None}  # what 0.1 wrote, in part


@cache
def model():
    return Models("photo", device="cpu").load()


def pages(kind: str, level: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    clean = scene(SIDE)
    noisy = noise.add(clean, kind, level, torch.Generator().manual_seed(seed))
    clean, noisy = (
        (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy() for x in (clean, noisy)
    )
    return clean, noisy


def fitting(**more) -> Fitting:
    return Fitting(FitRequest(options=OPTIONS, **more), Job(None, None, "x"), Listener())


@pytest.mark.parametrize(
    ("kind", "level", "says", "least"),
    [
        ("stripes", 25, "stripes every", 5),
        ("raw-mosaic", 40, "mosaic", 3),
        ("speckle-gamma", 1, "1 looks", 3),
        ("dither", 3, "dither", 5),
    ],
)
def test_strange_noise_is_found_and_taken_out(kind, level, says: str, least: float) -> None:
    clean, noisy = pages(kind, level)
    plain = restore_page(noisy, model(), OPTIONS).pixels
    found = fitting()
    fitted = restore_page(noisy, model(), OPTIONS, adapter=found).pixels
    assert psnr(fitted, clean) > psnr(plain, clean) + least
    facts = found.describe()
    assert facts["gain"] > 0
    assert [line.split(":")[0] for line in facts["summary"]] == ["seen", "fitted", "gained"]
    assert says in facts["summary"][1]


@pytest.mark.parametrize(("kind", "level"), [("gaussian", 25), ("poisson", 2), ("spatial", 30)])
def test_noise_that_the_model_knows_is_left_to_it(kind, level) -> None:
    _, noisy = pages(kind, level)
    found = fitting()
    fitted = restore_page(noisy, model(), OPTIONS, adapter=found).pixels
    assert np.array_equal(fitted, restore_page(noisy, model(), OPTIONS).pixels)
    assert "same result as mdn denoise" in found.describe()["summary"][2]


def test_a_fit_is_kept_and_serves_another_picture(tmp_path) -> None:
    _, first = pages("stripes", 25)
    kept = tmp_path / "stripes.fit"
    one = fitting(save=kept)
    restore_page(first, model(), OPTIONS, adapter=one)
    one.save()
    clean, second = pages("stripes", 25, seed=0)
    second = np.roll(second, (3, 5), (0, 1))  # the same stripes, in another phase
    used = fitting(use=kept)
    result = restore_page(second, model(), OPTIONS, adapter=used).pixels
    assert psnr(np.roll(result, (-3, -5), (0, 1)), clean) > psnr(first, clean) + 5
    assert "stripes every" in used.describe()["summary"][1]


def test_a_fit_of_another_model_or_none_is_refused(tmp_path) -> None:
    _, noisy = pages("gaussian", 25)
    kept = tmp_path / "x.fit"
    one = fitting(save=kept)
    restore_page(noisy, model(), OPTIONS, adapter=one)
    one.save()
    other = replace(model(), card=replace(model().card, sha256="0" * 64))
    with pytest.raises(FileError, match="another model"):
        restore_page(noisy, other, OPTIONS, adapter=fitting(use=kept))
    torch.save({"model": model().card.sha256, "fit": OLDER}, kept)
    with pytest.raises(FileError, match="of an older mdn"):
        restore_page(noisy, model(), OPTIONS, adapter=fitting(use=kept))
    kept.write_bytes(b"nonsense")
    with pytest.raises(FileError, match="no fit"):
        restore_page(noisy, model(), OPTIONS, adapter=fitting(use=kept))
    with pytest.raises(FileError, match="no such file"):
        restore_page(noisy, model(), OPTIONS, adapter=fitting(use=tmp_path / "none"))
