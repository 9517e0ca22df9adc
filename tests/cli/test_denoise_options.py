"""Options of `mdn denoise`, file to file: --save-std, --luma, --chroma, --protect, --quality."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from mdn import io
from mdn.image import Image
from mdn.registry import store
from tests.cli.cli_tools import MODEL, Make, Run
from tests.registry.test_selection import add

PASSES = (*MODEL, "--passes", "4")


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_map_beside_the_picture(run: Run, make: Make, tmp_path: Path) -> None:
    make("a.png")
    plain = run("denoise", "a.png", "-o", "plain.png", *PASSES)
    assert plain.exit_code == 0, plain.stderr
    result = run("denoise", "a.png", "-o", "b.png", "--save-std", "s.tif", *PASSES, "--json")
    assert result.exit_code == 0, result.stderr
    (entry,) = json.loads(result.stdout)["files"]
    assert entry["std"]["file"] == "s.tif"
    assert tifffile.imread(tmp_path / "s.tif").shape == (20, 23)
    # The map costs the picture nothing.
    both = [io.read_image(tmp_path / name).pixels for name in ("plain.png", "b.png")]
    assert np.array_equal(*both)


def test_batches_name_their_maps(run: Run, make: Make, tmp_path: Path) -> None:
    make("in/a.png")
    make("in/deep/b.jpg")
    result = run("denoise", "in", "-r", "-o", "out", "--save-std", "maps/", *PASSES)
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path / "maps") == ["a.tiff", "deep/b.tiff"]
    pattern = "{parent}/{stem}_std.png"
    result = run("denoise", "in/a.png", "in/deep/b.jpg", "--save-std", pattern, *PASSES)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "in" / "deep" / "b_std.png").exists()
    assert "white stands for a deviation" in result.stderr
    one = run("denoise", "in/a.png", "in/deep/b.jpg", "--save-std", "s.tif", *PASSES)
    assert one.exit_code == 2
    assert "one file and there are several inputs" in one.stderr


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--save-std", "s.tif", *MODEL), "--save-std: compares several passes"),
        (("--save-std", "s.tif", *PASSES, "--strength", "0"), "nothing is denoised"),
        (("--passes", "9", *MODEL), "--passes 9: unittest takes 8 at most"),
        (("--save-std", "a.png", *PASSES), "an output is also an input"),
        (("--save-std", "b.png", "-o", "b.png", *PASSES), "both be written to b.png"),
        (("--save-std", "old.tif", *PASSES), "old.tif exists already"),
        (("--save-std", "s.xyz", *PASSES), "mdn does not write .xyz"),
        (("--save-std", "-", *PASSES), "standard output is for the picture"),
    ],
)
def test_what_is_refused_before_any_work(
    options: tuple[str, ...], complaint: str, run: Run, make: Make, tmp_path: Path
) -> None:
    make("a.png")
    (tmp_path / "old.tif").write_bytes(b"old")
    result = run("denoise", "a.png", *options)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert files(tmp_path) == ["a.png", "old.tif"]


@pytest.mark.parametrize("option", ["--skip-existing", "--resume"])
def test_going_on_replaces_no_map_that_mdn_did_not_write(
    option: str, run: Run, make: Make, tmp_path: Path
) -> None:
    make("in/a.png")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "a.tiff").write_bytes(b"somebody's")
    arguments = ("denoise", "in", "-o", "out", "--save-std", "maps/", *PASSES)
    result = run(*arguments, option)
    assert result.exit_code != 0
    assert "maps/a.tiff" in result.stderr
    assert (tmp_path / "maps" / "a.tiff").read_bytes() == b"somebody's"
    (tmp_path / "maps" / "a.tiff").unlink()
    assert run(*arguments, option).exit_code == 0
    again = run(*arguments, option)
    assert (again.exit_code, "skipped" in again.stderr) == (0, True)


def test_a_map_is_made_anew_with_its_picture(run: Run, make: Make, tmp_path: Path) -> None:
    make("in/a.png")
    arguments = ("denoise", "in", "-o", "out", "--save-std", "maps/", "--resume", *PASSES)
    assert run(*arguments).exit_code == 0
    make("in/a.png", side=30)
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert tifffile.imread(tmp_path / "maps" / "a.tiff").shape == (30, 33)


def pixels(path: Path) -> np.ndarray:
    return io.read_image(path).pixels[0].astype(int)


def test_a_protected_half_stays(run: Run, make: Make, tmp_path: Path) -> None:
    noisy = pixels(make("a.png", side=40))
    mask = np.zeros((1, *noisy.shape[:2], 1), np.uint8)
    mask[:, :, :20] = 255
    io.write_image(Image(mask), tmp_path / "mask.png")
    result = run("denoise", "a.png", "-o", "b.png", "--protect", "mask.png", *MODEL)
    assert result.exit_code == 0, result.stderr
    clean = pixels(tmp_path / "b.png")
    assert np.array_equal(clean[:, :20], noisy[:, :20])
    assert not np.array_equal(clean[:, 20:], noisy[:, 20:])


def test_a_mask_of_another_size_is_refused(run: Run, make: Make, tmp_path: Path) -> None:
    make("a.png", side=40), make("mask.png", side=20)
    result = run("denoise", "a.png", "-o", "b.png", "--protect", "mask.png", *MODEL)
    assert result.exit_code == 4
    assert "the mask has 23 x 20 pixels, the picture 43 x 40" in result.stderr
    missing = run("denoise", "a.png", "--protect", "none.png", *MODEL)
    assert missing.exit_code == 2
    assert "--protect none.png" in missing.stderr
    assert not (tmp_path / "b.png").exists()


def test_colour_noise_alone(run: Run, make: Make, tmp_path: Path) -> None:
    noisy = pixels(make("a.png", side=40))
    for name, options in (("b", ["--luma", "0"]), ("c", ["--luma", "0", "--chroma", "0"])):
        result = run("denoise", "a.png", "-o", f"{name}.png", *options, *MODEL)
        assert result.exit_code == 0, result.stderr
    luma = np.array([0.299, 0.587, 0.114])
    colours = pixels(tmp_path / "b.png")
    inside = ((colours > 0) & (colours < 255)).all(-1)  # what was cut off is brighter or darker
    assert np.abs(colours @ luma - noisy @ luma)[inside].max() < 1.1
    assert not np.array_equal(colours, noisy)
    assert np.array_equal(pixels(tmp_path / "c.png"), noisy)


@pytest.mark.parametrize("options", [["--chroma", "0.5"], ["--protect", "a.tif"]])
def test_counts_have_no_colour_and_stacks_no_mask(
    run: Run, tmp_path: Path, options: list[str]
) -> None:
    gray = np.random.default_rng(0).poisson(200, (1, 40, 40, 1)).astype(np.uint16)
    io.write_image(Image(gray), tmp_path / "a.tif")
    result = run("denoise", "a.tif", "-o", "b.tif", *options, *MODEL)
    assert result.exit_code == 4
    assert options[0] in result.stderr
    assert not (tmp_path / "b.tif").exists()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shipped"
    monkeypatch.setattr(store, "shipped_folder", lambda: folder)
    add(folder, store.DEFAULT)
    return folder


def noisy(path: Path, dtype: type = np.uint8) -> Path:
    values = np.random.default_rng(0).integers(60, 190, (1, 48, 56, 3)).astype(dtype)
    if path.suffix == ".tif":
        tifffile.imwrite(path, values[..., 0], imagej=True)
    else:
        io.write_image(Image(values), path)
    return path


def told(run: Run, *arguments: str) -> dict:
    result = run("denoise", *arguments, "--json", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_one_line_says_what_stands_in(run: Run, tmp_path: Path, models: Path) -> None:
    noisy(tmp_path / "a.png"), noisy(tmp_path / "b.png")
    files = told(run, "a.png", "b.png", "--quality", "fast")["files"]
    assert [each["model"] for each in files] == ["photo", "photo"]
    (line,) = (line for each in files for line in each["warnings"])  # of the first to be done
    assert "no faster model" in line


def test_best_is_the_mean_of_eight_looks(run: Run, tmp_path: Path, models: Path) -> None:
    noisy(tmp_path / "a.png")
    told(run, "a.png", "--quality", "best", "-o", "best.png")
    told(run, "a.png", "--passes", "8", "-o", "eight.png")
    told(run, "a.png", "-o", "one.png")
    told(run, "a.png", "--quality", "best", "--passes", "1", "-o", "few.png")
    best, eight, one, few = (
        io.read_image(tmp_path / f"{name}.png").pixels for name in ("best", "eight", "one", "few")
    )
    assert np.array_equal(best, eight)
    assert not np.array_equal(best, one)
    assert np.array_equal(few, one)


def test_counts_have_models_of_their_own(run: Run, tmp_path: Path, models: Path) -> None:
    add(models, "cells")
    add(models, "cells-small", 'quality = "fast"', 'domain = "counts"')
    noisy(tmp_path / "a.tif", np.uint16)
    (found,) = told(run, "a.tif", "--quality", "fast")["files"]
    assert (found["model"], found["warnings"]) == ("cells-small", [])
    (found,) = told(run, "a.tif", "--quality", "best", "--overwrite")["files"]
    assert found["model"] == "cells"
    assert not found["warnings"]


def test_a_model_and_a_quality_contradict_each_other(run: Run, tmp_path: Path) -> None:
    noisy(tmp_path / "a.png")
    result = run("denoise", "a.png", "--quality", "fast", "-m", "photo")
    assert result.exit_code == 2
    assert "leave one of them out" in result.stderr
    assert not (tmp_path / "a_denoised.png").exists()


def test_a_fit_begins_with_the_model_of_that_quality(
    run: Run, tmp_path: Path, models: Path
) -> None:
    add(models, "small", 'quality = "fast"')
    noisy(tmp_path / "a.png")
    options = ("--iters", "0", "--json", "--device", "cpu")
    for wanted, name, words in (("fast", "small", []), ("best", "photo", [])):
        result = run("zeroshot", "a.png", "--quality", wanted, "-o", f"{wanted}.png", *options)
        assert result.exit_code == 0, result.stderr
        (found,) = json.loads(result.stdout)["files"]
        assert (found["model"], len(found["warnings"])) == (name, len(words))
        assert all(part in line for part, line in zip(words, found["warnings"], strict=True))
    result = run("zeroshot", "a.png", "--quality", "fast", "-m", "photo")
    assert result.exit_code == 2
