"""`mdn denoise --passes N --save-std FILE`: names, batches, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from mdn import io
from tests.cli.cli_tools import MODEL, Make, Run

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
