"""Noise that no model knows: measured by `mdn zeroshot`, taken out, saved for others."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from benchmarks.subjects import TEXTURES
from mdn.errors import FileError
from mdn.pipeline.in_memory import Picture, restore_counts, restore_page, treatment
from mdn.pipeline.models import Models
from tests.zeroshot.tools import OPTIONS, fit_of, pages, psnr, scene

OLDER = {
    "counts": True,
    "frequencies": (),
    "layers": None,
    "curve": None,
}  # what 0.2 wrote, in part


@cache
def model():
    return Models("photo", device="cpu").load()


@pytest.mark.parametrize(
    ("kind", "level", "words", "least"),
    [
        ("stripes", 25, "stripes every", 5),
        ("raw-mosaic", 40, "mosaic", 3),
        ("speckle-gamma", 1, "speckle of 1", 3),
        ("dither", 3, "dither", 1),
    ],
)
def test_strange_noise_is_recognised_and_taken_out(kind, level, words: str, least: float) -> None:
    brushed = torch.from_numpy(TEXTURES["brushed"](192).copy()).permute(2, 0, 1) / 255
    clean, noisy = pages(kind, level, of=brushed if kind == "speckle-gamma" else None)
    plain = restore_page(noisy, model(), OPTIONS).pixels
    fit = fit_of()
    assert psnr(restore_page(noisy, model(), OPTIONS, adapter=fit).pixels, clean) > (
        psnr(plain, clean) + least
    )
    facts = fit.describe()
    assert facts["gain"] > 0
    assert [line.split(":")[0] for line in facts["summary"]] == ["seen", "fitted", "gained"]
    assert words in facts["summary"][1]


@pytest.mark.parametrize(("kind", "level"), [("gaussian", 25), ("poisson", 2), ("spatial", 30)])
def test_noise_that_the_model_knows_is_left_to_it(kind, level) -> None:
    _, noisy = pages(kind, level)
    fit = fit_of()
    fitted = restore_page(noisy, model(), OPTIONS, adapter=fit).pixels
    assert np.array_equal(fitted, restore_page(noisy, model(), OPTIONS).pixels)
    assert "same result as mdn denoise" in fit.describe()["summary"][2]


def test_a_fit_is_saved_and_serves_another_picture(tmp_path) -> None:
    clean, first = pages("stripes", 25)
    path = tmp_path / "stripes.fit"
    one = fit_of(save=path)
    restore_page(first, model(), OPTIONS, adapter=one)
    one.save()
    second = np.roll(first, (3, 5), (0, 1))  # the same stripes, in another phase
    used = fit_of(use=path)
    result = restore_page(second, model(), OPTIONS, adapter=used).pixels
    assert psnr(np.roll(result, (-3, -5), (0, 1)), clean) > psnr(first, clean) + 5
    assert "stripes every" in used.describe()["summary"][1]
    other = replace(model(), card=replace(model().card, sha256="0" * 64))
    with pytest.raises(FileError, match="another model"):
        restore_page(first, other, OPTIONS, adapter=fit_of(use=path))


@pytest.mark.parametrize(
    ("content", "says"), [("older", "of an older mdn"), ("junk", "no fit"), ("", "no such file")]
)
def test_a_file_that_is_no_fit_is_refused(tmp_path, content: str, says: str) -> None:
    path = tmp_path / "x.fit"
    if content == "older":
        torch.save({"model": model().card.sha256, "fit": OLDER}, path)
    elif content:
        path.write_text(content)
    with pytest.raises(FileError, match=says):
        restore_page(pages("gaussian", 25)[1], model(), OPTIONS, adapter=fit_of(use=path))


def test_counts_are_averaged_over_flips_where_no_layer_is_fitted() -> None:
    stack = np.random.default_rng(0).poisson(40, (1, 64, 64, 1)).astype(np.uint16)
    models = Models("cells", device="cpu")
    usual, fit = models.options(), fit_of()
    result = restore_counts(Picture(stack), models.load(), usual, adapter=fit)
    mean = restore_counts(Picture(stack), models.load(), replace(usual, passes=8))
    assert np.array_equal(result, mean)
    assert not np.array_equal(result, restore_counts(Picture(stack), models.load(), usual))
    assert "eight flips and rotations" in fit.describe()["summary"][1]


def test_gray_pictures_of_few_photons_are_read_as_counts() -> None:
    photons = np.random.default_rng(0).poisson(15 * scene(192)[0].numpy())
    fit = fit_of()
    page = (photons * 8).clip(0, 255).astype(np.uint8)[..., None]
    treatment(Picture(page[None]), Models(device="cpu")).restore(adapter=fit)
    assert fit.describe()["summary"][0].startswith("seen: counted light")
