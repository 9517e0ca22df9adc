"""A picture may be a photograph or a measurement: the lines name the other, and what was done."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mdn import io
from mdn.image import Image as Picture
from mdn.image import Metadata
from tests.cli.cli_tools import Run
from tests.cli.conftest import run as run


def written(path: Path, channels: int, sigma: float) -> str:
    shape = (96, 96) if channels == 1 else (96, 96, channels)
    noisy = np.random.default_rng(0).normal(110, sigma, shape).clip(0, 255)
    Image.fromarray(noisy.astype(np.uint8)).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("channels", "sigma", "options"),
    [(3, 20, ()), (1, 0, ()), (1, 20, ("--encoding", "display"))],
)
def test_counts_are_not_offered_for_colours_flat_areas_or_what_is_said(
    run: Run, tmp_path: Path, channels: int, sigma: float, options: tuple[str, ...]
) -> None:
    path = written(tmp_path / "a.png", channels, sigma)
    done = run("denoise", path, "-o", str(tmp_path / "b.png"), "--json", *options)
    assert done.exit_code == 0, done.output
    (file,) = json.loads(done.stdout)["files"]
    assert not any("--encoding counts" in line for line in file["summary"])


def test_a_photograph_is_not_taken_to_a_microscope(run: Run, tmp_path: Path) -> None:
    """What has EXIF has come from no instrument: it is spared the hint that its like gets."""
    dark = np.indices((96, 96)).sum(0)[None, ..., None].repeat(3, -1).astype(np.uint16) * 40
    for name, exif in (("bare.png", None), ("photo.png", b"II*\0\x08\0\0\0\0\0\0\0\0\0")):
        io.write_image(Picture(dark, meta=Metadata(exif=exif)), tmp_path / name)
    done = {
        name: run("denoise", name, "-o", "out/", "--json") for name in ("bare.png", "photo.png")
    }
    hinted = {name: "--encoding counts" in each.stdout for name, each in done.items()}
    assert hinted == {"bare.png": True, "photo.png": False}


def test_a_gray_tiff_is_counted_in_a_pipe_and_on_its_way_to_png(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    counts = np.random.default_rng(0).poisson(90, (96, 96)).astype(np.uint16)
    tifffile.imwrite(path, counts)
    run("denoise", str(path), "-o", "stack.tif")
    after = tifffile.imread(tmp_path / "stack.tif")
    assert after.std() < counts.std() / 2
    assert "  noise " in run("denoise", str(path), "-o", "b.png").stderr
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), after)
    assert "  noise " in run("denoise", "-", "-o", "c.tif", input=path.read_bytes()).stderr
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "c.tif"), after)


def test_three_dark_channels_of_16_bits_that_a_library_took_for_colours(
    run: Run, tmp_path: Path
) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    counts = 5 * np.random.default_rng(0).poisson(20, (96, 96, 3)) + 100
    tifffile.imwrite(path, counts.astype(np.uint16), photometric="rgb")
    done = run("denoise", str(path), "-o", str(target))
    assert "removed" in done.stderr  # as colours, in the range that they have
    done = run("denoise", str(path), "-o", str(target), "--overwrite", "--encoding", "counts")
    for channel in range(3):
        assert f"channel {channel}: noise" in done.stderr
    assert tifffile.imread(target).std() < counts.std() / 2
