"""TIFF stacks: many planes along named axes, opened without reading their pixels.

OME-TIFF, ImageJ hyperstacks, plain pages and pyramids, all as tifffile tells them apart. Planes are
read in bands of rows; `rewrite` gives a copy of the file in which some planes are replaced and
everything else is as it was, to the byte.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import TiffFile, TiffFrame, TiffPage, TiffPageSeries

from mdn.errors import FileError, UsageError
from mdn.io.base import DAMAGED, quiet
from mdn.io.tiff_check import check_stack_page
from mdn.io.tiff_rows import Rows, guarded

RGB, YCBCR = 2, 6
_ALPHA = (1, 2)
_MANY = 2**20  # planes


@dataclass(frozen=True)
class Plane:
    """One picture of a stack, unread.

    Attributes:
        series: which series of the file it is in.
        number: which of that series' pages it is.
        where: its place along the axes that count pages, by their letters: {"Z": 3, "C": 0}.
        samples: which samples of a pixel it is made of: three for colour, else one.
        channel: the channel it belongs to, for what is to be known of each on its own.
        rows: its pixels, together with the samples that share them.
    """

    series: int
    number: int
    where: dict[str, int] = field(hash=False)
    samples: tuple[int, ...]
    channel: int
    rows: Rows = field(hash=False, compare=False)

    @property
    def colour(self) -> bool:
        """Whether its samples are red, green and blue."""
        return len(self.samples) == 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and samples."""
        return self.rows.height, self.rows.width, len(self.samples)

    def read(self) -> np.ndarray:
        """(H, W, 1 or 3) as stored."""
        return self.rows.read(0, self.rows.height)[..., list(self.samples)]


@dataclass
class Stack:
    """A TIFF and the planes in it that are pictures.

    Attributes:
        name: what messages call it.
        file: open.
        axes: letters of the first series' axes, as TZCYX.
        shape: its sizes along them.
        dtype: of its samples.
        planes: all of them, in the order of the file.
    """

    name: str
    path: Path
    file: TiffFile
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype
    planes: list[Plane]

    @property
    def colour(self) -> bool:
        """Whether there are colour pictures in it."""
        return any(plane.colour for plane in self.planes)

    @property
    def plain(self) -> bool:
        """Whether nothing in it says that it was measured: one page, no axes but its own."""
        described = self.file.is_ome or self.file.is_imagej
        return not described and len(self.planes) == 1 and self.dtype == np.uint8

    def describe(self) -> dict[str, Any]:
        """Its shape in words, for people and for --json."""
        height, width, _ = self.planes[0].shape
        return {
            "width": width,
            "height": height,
            "pages": len(self.planes),
            "dtype": str(self.dtype),
            "axes": self.axes,
            "shape": list(self.shape),
            "megapixels": round(sum(p.shape[0] * p.shape[1] for p in self.planes) / 1e6, 6),
        }


@contextmanager
def open_stack(path: Path, axes: str | None = None, name: str | None = None) -> Iterator[Stack]:
    """The planes of a TIFF, for as long as the context lasts.

    Args:
        path: the file.
        axes: what its axes are called, in place of what the file says, as TZCYX; for one series.
        name: how messages call it.

    Raises:
        FileError: it is damaged, or of a kind that mdn does not hold.
        UsageError: `axes` does not fit its shape.
    """
    shown = name or str(path)
    with quiet(), contextlib.ExitStack() as opened:
        with guarded(shown):
            file = opened.enter_context(TiffFile(path, _multifile=False))
            stack = _stack(file, path, axes, shown)
        yield stack


def _stack(file: TiffFile, path: Path, axes: str | None, name: str) -> Stack:
    size = path.stat().st_size
    every = picture_series(file)
    if axes is not None and len(every) > 1:
        raise UsageError(f"--axes {axes}: {name} holds {len(every)} pictures of different shapes")
    planes: list[Plane] = []
    letters = every[0].axes
    for number, series in enumerate(every):
        letters_here = _letters(series, axes, name)
        letters = letters_here if number == 0 else letters
        if math.prod(series.shape) // max(1, math.prod(series.keyframe.shape)) > _MANY:
            raise FileError(name, f"claims more than {_MANY} planes", DAMAGED)
        check_stack_page(series.keyframe, size, name)
        planes += _planes(number, series, letters_here, size, name)
    if not planes:
        raise FileError(name, "has no pages", DAMAGED)
    return Stack(name, path, file, letters, every[0].shape, planes[0].rows.dtype, planes)


def picture_series(file: TiffFile) -> list[TiffPageSeries]:
    """The series that are the picture: thumbnails, labels and masks of a scanner are not."""
    found = list(file.series)
    if not found:
        raise IndexError("no series")
    if file.is_svs or file.is_ndpi or file.is_philips or file.is_scn:
        return found[:1]
    whole = [s for s in found if not s.keyframe.subfiletype & 5]
    return whole or found[:1]


def _letters(series: TiffPageSeries, axes: str | None, name: str) -> str:
    if axes is None:
        return str(series.axes)
    wanted = axes.upper()
    sizes = " x ".join(map(str, series.shape))
    if len(wanted) != len(series.shape) or len(set(wanted)) != len(wanted):
        raise UsageError(f"--axes {axes}: {name} has {len(series.shape)} axes ({sizes})")
    if not wanted.isalpha() or {"Y", "X"} - set(wanted):
        raise UsageError(f"--axes {axes}: use letters such as TZCYX, Y and X among them")
    here = [letter for letter in str(series.axes) if letter in "YXS"]
    if [letter for letter in wanted if letter in "YX"] != [c for c in here if c in "YX"]:
        raise UsageError(f"--axes {axes}: {name} stores its planes as {''.join(here)}")
    return wanted


def _planes(
    series_number: int, series: TiffPageSeries, letters: str, size: int, name: str
) -> Iterator[Plane]:
    key = series.keyframe
    inner = len(key.shape)  # the axes that lie within one page
    outer = series.shape[: len(series.shape) - inner]
    count = math.prod(outer)
    pages = list(series.pages)
    virtual = len(pages) == 1 and count > 1
    if virtual and (series.dataoffset is None or series.dataoffset + series.nbytes > size):
        raise FileError(name, "is a TIFF that ends before its pixels do", DAMAGED)
    for number in range(count):
        page = pages[0] if virtual else pages[number] if number < len(pages) else None
        if page is None:
            continue  # in another file
        offset = None
        if virtual:
            offset = (series.dataoffset or 0) + number * math.prod(key.shape) * np.dtype(
                key.dtype
            ).itemsize
        elif page is not key:
            _check_segments(page, size, name)
        rows = Rows(page, offset, name)
        place = np.unravel_index(number, outer) if outer else ()
        where = {letter: int(i) for letter, i in zip(letters, place, strict=False)}
        for samples in _samples(key, rows):
            channel, here = where.get("C", 0), where
            if len(samples) == 1 and rows.samples > 1:
                channel = channel * rows.samples + samples[0]
                here = where if "C" in where else where | {"C": samples[0]}
            yield Plane(series_number, number, here, samples, channel, rows)


def _check_segments(page: TiffPage | TiffFrame, size: int, name: str) -> None:
    for start, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        if length and (start <= 0 or start + length > size):
            raise FileError(name, "is a TIFF that ends before its pixels do", DAMAGED)


def _samples(key: TiffPage, rows: Rows) -> list[tuple[int, ...]]:
    """Which samples of a pixel belong together: colours do, measurements each stand alone."""
    if int(key.photometric) in (RGB, YCBCR) and rows.samples >= 3:
        return [(0, 1, 2)]
    kinds = tuple(map(int, key.extrasamples))
    alphas = {rows.samples - len(kinds) + i for i, kind in enumerate(kinds) if kind in _ALPHA}
    return [(i,) for i in range(rows.samples) if i not in alphas or i == 0]
