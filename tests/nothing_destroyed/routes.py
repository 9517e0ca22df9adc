"""The ways a picture takes through mdn: as an array, and as files of several kinds.

A route takes an array (H, W), (H, W, 3), (H, W, 4) or, in `STACKS`, (Z, H, W), and gives what comes
back in the same shape, with what was said. Files go through the command line as a user types it;
the array goes through the Python face in float32. So both precisions are tried where the processor
has two.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import imagecodecs
import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import mdn
from mdn.cli.app import app


@dataclass(frozen=True)
class Result:
    """What a route gives back."""

    pixels: np.ndarray  # of the shape of the input; JPEG: as decoded
    lines: tuple[str, ...] = ()  # summary and warnings, as a person reads them
    facts: dict[str, Any] = field(default_factory=dict)  # the file's entry of --json
    same_bytes: bool | None = None  # whether the file is a copy of the input; None: no file

    @property
    def says_unchanged(self) -> bool:
        """Whether it claims that no sample has changed: by its JSON, or else by every line."""
        if "changed" in self.facts:
            return self.facts["changed"] is False
        summary = self.facts.get("summary", [])
        return bool(summary) and all("unchanged" in line for line in summary)


Route = Callable[..., Result]


@cache
def model(precision: str = "fp32") -> Any:
    """The default models, loaded once."""
    return mdn.load_model(device="cpu", precision=precision)


def as_array(picture: np.ndarray, **options: Any) -> Result:
    """`mdn.denoise(array)` with a model that is loaded already."""
    before = picture.copy()
    pixels = model()(picture, **options)
    np.testing.assert_array_equal(picture, before, err_msg="the input was written to")
    assert (pixels.shape, pixels.dtype) == (picture.shape, picture.dtype)
    return Result(pixels)


def command(source: Path, target: Path, *options: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """`mdn denoise SOURCE -o TARGET` in this process: the file's entry of --json, and its lines."""
    words = ["denoise", str(source), "-o", str(target), "--device", "cpu", "--json", *options]
    run = CliRunner().invoke(app, words, prog_name="mdn")
    assert run.exit_code == 0, f"exit {run.exit_code}: {run.stderr}"
    facts = json.loads(run.stdout)["files"][0]
    return facts, (*facts.get("summary", ()), *facts["warnings"])


def as_file(
    write: Callable[[Path, np.ndarray], None],
    read: Callable[[Path], np.ndarray],
    suffix: str,
    picture: np.ndarray,
    *options: str,
) -> Result:
    """Writes a file, denoises it, and reads the result."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / f"in.{suffix}", Path(folder) / f"out.{suffix}"
        write(source, picture)
        facts, lines = command(source, target, *options)
        same = source.is_file() and source.read_bytes() == target.read_bytes()
        pixels = read(target)
    assert (pixels.shape, pixels.dtype) == (picture.shape, picture.dtype)
    return Result(pixels, lines, facts, same)


def write_png(path: Path, picture: np.ndarray) -> None:
    room = 2 * picture.nbytes + 4096  # what it takes by itself is too little for noise
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(picture), out=room))


def read_png(path: Path) -> np.ndarray:
    return np.asarray(imagecodecs.png_decode(path.read_bytes()))


def write_jpeg(path: Path, picture: np.ndarray) -> None:
    iio.imwrite(path, picture, quality=95, subsampling=0)


def write_tiff(path: Path, picture: np.ndarray, alpha: str = "unassalpha", **layout: Any) -> None:
    """layout: for tifffile, such as tile=(32, 32)."""
    colour = picture.ndim == 3 and picture.shape[-1] in (3, 4)
    more = {"extrasamples": [alpha]} if colour and picture.shape[-1] == 4 else {}
    planar = layout.get("planarconfig") == "separate"
    stored = np.moveaxis(picture, -1, 0) if colour and planar else picture
    kind = "rgb" if colour else "minisblack"
    tifffile.imwrite(path, stored, photometric=kind, metadata=None, **more, **layout)


def read_tiff(path: Path) -> np.ndarray:
    pixels = tifffile.imread(path)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        planar = page.planarconfig == 2 and page.samplesperpixel > 1
    return np.moveaxis(pixels, 0, -1) if planar else pixels


def write_zarr(path: Path, picture: np.ndarray) -> None:
    """OME-Zarr 0.4 of one level, in chunks that divide nothing."""
    zarr = pytest.importorskip("zarr")
    root = zarr.open_group(path, mode="w", zarr_format=2)
    volume = picture.reshape(-1, *picture.shape[-2:])
    sizes = tuple(map(min, (1, 40, 56), volume.shape))
    array = root.create_array("0", shape=volume.shape, chunks=sizes, dtype=volume.dtype)
    array[...] = volume
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    about = {"axes": axes, "datasets": [{"path": "0"}], "version": "0.4"}
    root.attrs["multiscales"] = [about]


def read_zarr(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    zarr = pytest.importorskip("zarr")
    return np.asarray(zarr.open_group(path, mode="r")["0"][...]).reshape(shape)


def as_zarr(picture: np.ndarray, *options: str) -> Result:
    read = partial(read_zarr, shape=picture.shape)
    return as_file(write_zarr, read, "zarr", picture, *options)


def as_tiff(picture: np.ndarray, *options: str, **layout: Any) -> Result:
    """layout: as of `write_tiff`."""
    return as_file(partial(write_tiff, **layout), read_tiff, "tif", picture, *options)


as_png: Route = partial(as_file, write_png, read_png, "png")
as_jpeg: Route = partial(as_file, write_jpeg, iio.imread, "jpg")

# What each takes: gray and stacks of them, colour, and colour with alpha.
GRAY: dict[str, Route] = {
    "array": as_array,
    "png": as_png,
    "tiff": as_tiff,
    "tiff tiled": partial(as_tiff, tile=(32, 48)),
    "zarr": as_zarr,
}
COLOUR: dict[str, Route] = {
    "array": as_array,
    "png": as_png,
    "tiff": as_tiff,
    "tiff planar": partial(as_tiff, planarconfig="separate"),
    "tiff tiled": partial(as_tiff, tile=(32, 48)),
}
STACKS: dict[str, Route] = {
    "array": partial(as_array, axes="ZYX"),
    "tiff": as_tiff,
    "zarr": as_zarr,
}
DTYPES = {
    "png": ("uint8", "uint16"),
    "tiff": ("uint8", "uint16", "int16", "int32", "uint32", "float32", "float64"),
    "zarr": ("uint8", "uint16", "int16", "int32", "uint32", "float32", "float64"),
    "array": ("uint8", "uint16", "int16", "int32", "uint32", "float32", "float64"),
}


def takes(route: str, dtype: str, *, colour: bool) -> bool:
    """Whether a route reads samples of a kind; of those of photos mdn refuses some in words."""
    refused = ("int16", "int32", "uint32", "float64")
    return dtype in DTYPES[route.split()[0]] and not (colour and dtype in refused)
