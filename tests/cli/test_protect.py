"""--luma, --chroma and --protect of `mdn denoise`, from file to file."""

from pathlib import Path

import numpy as np
import pytest

from mdn import io
from mdn.image import Image
from tests.cli.cli_tools import MODEL, Make, Run


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
