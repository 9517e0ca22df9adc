"""TIFF stacks: many planes along named axes, opened without reading their pixels.

OME-TIFF, ImageJ hyperstacks, plain pages and pyramids, all as tifffile tells them apart. Planes are
read in bands of rows; `rewrite` gives a copy of the file in which some planes are replaced and
everything else is as it was, to the byte.
"""

import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tifffile import TiffFile, TiffPage, TiffPageSeries

from mdn.errors import FileError, UsageError
from mdn.io.base import DAMAGED, guarded, quiet
from mdn.io.foreign import is_raw
from mdn.io.stack import GDAL_NODATA, Plane, Stack, no_data_of
from mdn.io.tiff.layout import (
    ASSOCIATED,
    MAGICS,
    MINISWHITE,
    PALETTE,
    RGB,
    UNASSOCIATED,
    YCBCR,
    check_page,
    check_segments,
)
from mdn.io.tiff.rows import Rows

_PHOTO = (RGB, PALETTE, YCBCR)
_ALPHA = (ASSOCIATED, UNASSOCIATED)
_MANY = 2**20  # planes


def is_tiff(path: Path) -> bool:
    """Whether a file is a TIFF by its content. Raw files are none: many are TIFFs inside, with a
    thumbnail first. Nor is what cannot be read: whoever reads it next says what is wrong.
    """
    if is_raw(path):
        return False
    try:
        with path.open("rb") as file:
            return file.read(4) in MAGICS
    except OSError:
        return False


@dataclass
class TiffStack(Stack):
    """A TIFF and the planes in it that are pictures. `file`: open."""

    file: TiffFile


@contextmanager
def open_stack(path: Path, axes: str | None = None, name: str | None = None) -> Iterator[TiffStack]:
    """The planes of a TIFF, for as long as the context lasts.

    axes: what its axes are called, in place of what the file says, as TZCYX; for one series.

    Raises FileError: it is damaged, or of a kind that mdn does not hold; UsageError: `axes` does
    not fit its shape.
    """
    shown = name or str(path)
    with quiet(), contextlib.ExitStack() as opened:
        with guarded(shown, "TIFF"):
            file = opened.enter_context(TiffFile(path, _multifile=False))
            stack = _stack(file, path, axes, shown)
        yield stack


def _stack(file: TiffFile, path: Path, axes: str | None, name: str) -> TiffStack:
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
        check_page(series.keyframe, size, name)
        planes += _planes(number, series, letters_here, size, name)
    if not planes:
        raise FileError(name, "has no pages", DAMAGED)
    key, dtype, one = every[0].keyframe, planes[0].rows.dtype, len(planes) == 1
    kind, described = int(key.photometric), file.is_imagej or file.is_ome
    large = file.is_bigtiff or key.is_tiled
    colour = any(plane.colour for plane in planes)
    drawn = kind == MINISWHITE or (one and not described and dtype == np.uint8)
    return TiffStack(
        name, path, letters, every[0].shape, dtype, planes, file,
        # What `io.read_image` is for: one picture in colour, of bearable size.
        photo=not described and (kind == PALETTE or (one and not large and kind in _PHOTO)),
        # ... rather than photographed, scanned or drawn.
        measured=not (colour or drawn),
    )  # fmt: skip


def picture_series(file: TiffFile) -> list[TiffPageSeries]:
    """The series that are the picture: thumbnails, labels and masks of a scanner are not."""
    series = list(file.series)
    if not series:
        raise IndexError("no series")
    if file.is_svs or file.is_ndpi or file.is_philips or file.is_scn:
        return series[:1]
    whole = [s for s in series if not s.keyframe.subfiletype & 5]
    return whole or series[:1]


def _letters(series: TiffPageSeries, axes: str | None, name: str) -> str:
    if axes is None:
        return str(series.axes)
    letters = axes.upper()
    sizes = " x ".join(map(str, series.shape))
    if len(letters) != len(series.shape) or len(set(letters)) != len(letters):
        raise UsageError(f"--axes {axes}: {name} has {len(series.shape)} axes ({sizes})")
    if not letters.isalpha() or {"Y", "X"} - set(letters):
        raise UsageError(f"--axes {axes}: use letters such as TZCYX, Y and X among them")
    here = [letter for letter in str(series.axes) if letter in "YXS"]
    if [letters.find(c) for c in "YX"] != [str(series.axes).find(c) for c in "YX"]:
        raise UsageError(f"--axes {axes}: {name} stores its planes as {''.join(here)}")
    return letters


def _planes(
    series_number: int, series: TiffPageSeries, letters: str, size: int, name: str
) -> Iterator[Plane]:
    key = series.keyframe
    inner = len(key.shape)  # the axes that lie within one page
    outer = series.shape[: len(series.shape) - inner]
    inside = letters[len(outer) :].strip("YX").replace("S", "C")  # what the samples of a pixel are
    count = math.prod(outer)
    pages = list(series.pages)
    virtual = len(pages) == 1 and count > 1
    value = key.tags.valueof(GDAL_NODATA)  # the pages of a series share it
    no_data = no_data_of(value, np.dtype(key.dtype)) if isinstance(value, str | bytes) else None
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
            check_segments(page, size, name)
        rows = Rows(page, offset, name)
        place = np.unravel_index(number, outer) if outer else ()
        where = {letter: int(i) for letter, i in zip(letters, place, strict=False)}
        alphas = _alphas(key, rows)
        alpha = min(alphas, default=None)
        associated = alpha is not None and alphas[alpha] == ASSOCIATED
        for samples in _samples(key, rows, letters):
            channel, here = where.get("C", 0), where
            if len(samples) == 1 and rows.samples > 1:
                if inside == "C":
                    channel = channel * rows.samples + samples[0]
                here = where if "C" in where else where | {inside: samples[0]}
            yield Plane(
                series_number, number, here, samples, channel, rows, alpha, associated, no_data
            )


def _samples(key: TiffPage, rows: Rows, letters: str) -> list[tuple[int, ...]]:
    """Which samples of a pixel belong together: colours do, measurements each stand alone."""
    if rows.samples > 1 and "S" not in letters:
        return [(i,) for i in range(rows.samples)]  # --axes says that they are no colours
    if int(key.photometric) in (RGB, YCBCR) and rows.samples >= 3:
        return [(0, 1, 2)]
    alphas = _alphas(key, rows)
    return [(i,) for i in range(rows.samples) if i not in alphas or i == 0]


def _alphas(key: TiffPage, rows: Rows) -> dict[int, int]:
    """Which samples of a pixel say how opaque it is, and in which way."""
    kinds = tuple(map(int, key.extrasamples))
    first = rows.samples - len(kinds)
    return {first + i: kind for i, kind in enumerate(kinds) if kind in _ALPHA}
