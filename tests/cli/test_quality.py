"""`mdn denoise --quality` from end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from mdn import io
from mdn.image import Image
from mdn.registry import store
from tests.cli.cli_tools import Run
from tests.registry.test_selection import add


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
