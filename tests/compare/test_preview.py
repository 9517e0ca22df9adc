"""`mdn denoise --preview`: crops that are what `mdn denoise` makes of these places."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from benchmarks.subjects import DRAWN
from mdn.compare.pictures import CURVES
from mdn.compare.preview import GAP, HEAD, side_for
from mdn.io import exr
from tests.cli.cli_tools import MODEL, Run
from tests.cli.conftest import run as run
from tests.renders import scenes

SIZE = 230, 310


def photo(path: Path) -> np.ndarray:
    """A photo of 230 x 310: a flat half and a half of fine stripes, with noise."""
    values = np.full((*SIZE, 3), 150.0)
    values[:, 160:] += 60 * np.sign(np.sin(np.arange(150)))[:, None]
    noisy = np.clip(np.random.default_rng(0).normal(values, 12), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path)
    return noisy


def cells(page: np.ndarray, side: int) -> list[list[np.ndarray]]:
    """The crops of a sheet, row by row."""
    step = side + GAP
    rows = [page[top : top + side] for top in range(HEAD, page.shape[0], step)]
    return [[row[:, left : left + side] for left in range(0, page.shape[1], step)] for row in rows]


@pytest.mark.parametrize(
    ("model", "more"),  # one net; one for each kind of noise
    [("unittest", ()), ("photo-fast", ()), ("unittest", ("--luma", "0.8", "--chroma", "0.3"))],
)
def test_the_crops_are_what_denoising_gives(
    run: Run, tmp_path: Path, model: str, more: tuple[str, ...]
) -> None:
    noisy = photo(tmp_path / "a.png")
    how = ("--model", model, "--device", "cpu", "--precision", "fp32", *more)
    done = run("denoise", "a.png", "--preview", "--json", *how)
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)["files"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["a.png", "a_preview.png"]
    clean = {1.0: "full.png", 0.5: "half.png"}
    for strength, name in clean.items():
        run("denoise", "a.png", "-o", name, "--strength", str(strength), *how)
    full, half = (np.asarray(Image.open(tmp_path / clean[s])).astype(int) for s in (1.0, 0.5))
    side = side_for(*SIZE)
    shown = cells(np.asarray(Image.open(tmp_path / "a_preview.png")).astype(int), side)
    assert found["strengths"] == [0.5, 0.75, 1.0]
    for (left, top), (before, first, _, last) in zip(found["places"], shown, strict=True):
        where = slice(top, top + side), slice(left, left + side)
        assert np.array_equal(before, noisy[where])
        assert np.abs(last - full[where]).max() <= 1
        assert np.abs(first - half[where]).max() <= 1
        assert not np.array_equal(before, last)


def test_impulses_go_from_drawings_in_a_preview_too(run: Run, tmp_path: Path) -> None:
    page = DRAWN["screenshot"](240).copy()
    dice = np.random.default_rng(0).random(page.shape)
    page[dice < 0.01], page[dice > 0.99] = 0, 255
    Image.fromarray(page).save(tmp_path / "a.png")
    how = ("--model", "photo-fast", "--device", "cpu", "--precision", "fp32")
    (found,) = json.loads(run("denoise", "a.png", "--preview", "--json", *how).stdout)["files"]
    run("denoise", "a.png", "-o", "full.png", *how)
    full = np.asarray(Image.open(tmp_path / "full.png")).astype(int)
    side = side_for(*page.shape[:2])
    shown = cells(np.asarray(Image.open(tmp_path / "a_preview.png")).astype(int), side)
    assert not np.array_equal(full, page)
    for (left, top), (*_, last) in zip(found["places"], shown, strict=True):
        assert np.abs(last - full[top : top + side, left : left + side]).max() <= 1


def test_counts_are_stretched(run: Run, tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(200, (120, 130)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "cells.tif", counts)
    assert run("denoise", "cells.tif", "--preview", *MODEL).exit_code == 0
    shown = cells(np.asarray(Image.open(tmp_path / "cells_preview.png")), side_for(120, 130))
    assert np.ptp(shown[0][0]) > 150


def test_the_strength_asked_for_is_the_last(run: Run, tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    done = run("denoise", "a.png", "--preview", "--strength", "0.4", "--json", *MODEL)
    strengths = json.loads(done.stdout)["files"][0]["strengths"]
    assert strengths == pytest.approx([0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("a.exr", "--view", "filmic"), 2, "--view filmic is of a --preview"),
        (("a.png", "--preview", "-q", "--view", "filmic", "-o", "there.png"), 2, "exists"),
        (("a.png", "--preview", "--save-std", "s.tif", "--passes", "8"), 2, "leave out"),
        (("a.png", "--preview", "-o", "there.png"), 2, "exists"),
        (("a.png", "--preview", "--z", "0"), 2, "--z: --preview shows the first plane"),
    ],
)
def test_mistakes(run: Run, tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    photo(tmp_path / "a.png")
    photo(tmp_path / "there.png")
    scenes.scene(tmp_path / "a.exr")
    there = (tmp_path / "there.png").read_bytes()
    done = run("denoise", *words, *MODEL)
    assert done.exit_code in (code, 4), done.output
    assert said in done.output
    assert (tmp_path / "there.png").read_bytes() == there


@pytest.mark.parametrize("curve", ["srgb", "filmic"])
def test_the_crops_of_a_render_are_what_denoising_gives(
    run: Run, tmp_path: Path, curve: str
) -> None:
    scenes.scene(tmp_path / "a.exr")
    how = ("--model", "unittest", "--device", "cpu", "--precision", "fp32")
    done = run("denoise", "a.exr", "--preview", "--view", curve, "--json", *how)
    assert done.exit_code == 0, done.output
    (facts,) = json.loads(done.stdout)["files"]
    run("denoise", "a.exr", "-o", "full.exr", *how)
    side = side_for(*scenes.SHAPE)
    shown = cells(np.asarray(Image.open(tmp_path / "a_preview.png")).astype(int), side)
    for column, name in ((0, "a.exr"), (-1, "full.exr")):
        part = exr.read(tmp_path / name).parts[0]
        light = np.stack([part[key] for key in "RGB"], -1)
        page = 255 * CURVES[curve](light)
        for (left, top), row in zip(facts["places"], shown, strict=True):
            where = slice(top, top + side), slice(left, left + side)
            assert np.abs(row[column] - page[where]).max() <= 1


def test_curves_of_light_rise_and_keep_black_and_middle_gray() -> None:
    light = np.array([0, 0.18, 0.5, 1, 4, 60, np.inf], np.float32)
    for curve in CURVES.values():
        shown = curve(light)
        assert (shown[0], shown[1]) == (0, pytest.approx(0.46, abs=0.03))
        assert (np.diff(shown) >= 0).all()
        assert shown[-1] <= 1
    assert CURVES["filmic"](light)[3] < 0.95  # what is brighter than white is told apart
    assert CURVES["srgb"](light)[3] == pytest.approx(1)
