"""Stacks: many planes along named axes, in a file or a folder, opened and not yet read."""

import base64
import binascii
import struct
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class PlaneRows:
    """One picture of a stack, as rows of samples; each kind of file has a class of its own."""

    # height, width, samples: of the picture, all samples of a pixel counted
    height: int
    width: int
    samples: int
    dtype: np.dtype  # in the machine's byte order
    # block_height, block_width: of a strip, tile or chunk; reading whole ones is cheapest
    block_height: int
    block_width: int
    # where its samples begin, if they lie in the file as they do in memory
    raw_offset: int | None = None
    # pictures of a series with the same one lie in the same chunks; None: this one alone
    chunk: tuple[int, ...] | None = None

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of the picture."""
        return self.width * self.samples * self.dtype.itemsize

    def read(self, start: int, stop: int, left: int = 0, right: int | None = None) -> np.ndarray:
        """Rows start..stop, columns left..right, as (rows, columns, samples).

        Raises FileError: the file is damaged there.
        """
        raise NotImplementedError

    def release(self) -> None:
        """Forget the rows that are kept for the next call: a stack has many pictures."""
        self._cached: Any = None


@dataclass(frozen=True)
class Plane:
    """One picture of a stack, unread."""

    series: int  # which series of the file it is in
    number: int  # which of that series' pages it is
    # its place along the axes that count pages, by their letters: {"Z": 3, "C": 0}
    where: dict[str, int] = field(hash=False)
    samples: tuple[int, ...]  # which samples of a pixel it is made of: three for colour, else one
    channel: int  # the channel it belongs to, for what is to be known of each on its own
    # its pixels, together with the samples that share them
    rows: PlaneRows = field(hash=False, compare=False)
    alpha: int | None = None  # the sample of a pixel that says how opaque it is
    alpha_associated: bool = False  # whether the other samples are stored multiplied by alpha
    # the value of samples where nothing was measured, as the file says (it may be NaN), or None
    no_data: float | None = field(default=None, hash=False, compare=False)

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


class Lines:
    """Holds rows of a picture, from the top down, until a line of blocks is whole.

    Args:
        height: rows of the picture.
        step: rows of a line; the last may have fewer.
        take: gets the first row of each line, and its rows (rows, width, samples).
    """

    def __init__(self, height: int, step: int, take: Callable[[int, np.ndarray], None]) -> None:
        self.height, self.step, self.take = height, step, take
        self._held: list[np.ndarray] = []
        self._top = 0  # the first row held

    def write(self, start: int, block: np.ndarray) -> None:
        """Rows from `start` on, (rows, width, samples). Any line may be the first, and again."""
        if start != self._top + sum(map(len, self._held)):
            self._held, self._top = [], start
        self._held.append(block)
        stop = start + len(block)
        full = stop if stop == self.height else stop // self.step * self.step
        if full <= self._top:
            return
        joined = self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        for top in range(self._top, full, self.step):
            self.take(top, joined[top - self._top : top - self._top + self.step])
        self._held = [joined[full - self._top :].copy()]
        self._top = full


class RowsWriter(Protocol):
    """Where the rows of a plane go."""

    def write(self, start: int, block: np.ndarray) -> None:
        """Rows from `start` on, (rows, width, samples), from the top down; again from 0 is fine."""
        ...


class StackWriter(Protocol):
    """A copy of a stack in the making."""

    def page(self, planes: Sequence[Plane]) -> AbstractContextManager[RowsWriter]:
        """Takes the rows of planes that share them."""
        ...


@dataclass
class Stack:
    """The planes of a file, or of a folder that is one."""

    name: str  # what messages call it
    path: Path  # where it lies
    axes: str  # letters of the first series' axes, as TZCYX
    shape: tuple[int, ...]  # its sizes along them
    dtype: np.dtype  # of its samples
    planes: list[Plane]  # all of them, in the order of the file

    photo: bool = field(default=False, kw_only=True)  # whether it is better read as a picture
    # whether its samples are counts rather than a picture to look at
    measured: bool = field(default=True, kw_only=True)

    @property
    def colour(self) -> bool:
        """Whether there are colour pictures in it."""
        return any(plane.colour for plane in self.planes)

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


GDAL_NODATA = 42113  # a tag of TIFF: the value as text (GDAL, GTiff driver)
# As Microsoft's C library once wrote them.
_WORDS = {"1.#qnan": "nan", "-1.#ind": "nan", "1.#inf": "inf", "-1.#inf": "-inf"}


def no_data_of(text: str | bytes, dtype: np.dtype) -> float | None:
    """A value from its text, as samples of `dtype` have it exactly; None where none can have it.

    text: "nan", "-9999", "3.4028234663852886e+38"; several alike ones count as one.
    """
    plain = text.decode("latin-1") if isinstance(text, bytes) else text
    words = set(plain.strip("\0 \t\r\n").lower().split())
    if len(words) != 1 or "_" in (word := words.pop()):
        return None
    try:
        value = float(_WORDS.get(word, word))
    except ValueError:
        return None
    return as_sample(value, dtype)


def as_sample(value: float, dtype: np.dtype) -> float | None:
    """A number as a sample of `dtype`; None where none can have it."""
    if dtype.kind in "iu":
        top = np.iinfo(dtype)
        return value if value == np.rint(value) and top.min <= value <= top.max else None
    with np.errstate(over="ignore"):
        sample = float(np.array(value, np.float64).astype(dtype))
    return None if np.isinf(sample) and not np.isinf(value) else sample


def fill_value_of(attribute: Any, dtype: np.dtype) -> float | None:
    """A value from an attribute `_FillValue`: a number, its text, or, as xarray writes floats into
    Zarr 3, the base64 of its eight bytes.
    """
    if isinstance(attribute, list) and len(attribute) == 1:
        attribute = attribute[0]
    if isinstance(attribute, bool) or not isinstance(attribute, int | float | str):
        return None
    if not isinstance(attribute, str):
        return as_sample(float(attribute), dtype)
    if (value := no_data_of(attribute, dtype)) is not None:
        return value
    try:
        packed = base64.b64decode(attribute, validate=True)
        return as_sample(struct.unpack("<d", packed)[0], dtype)
    except (binascii.Error, struct.error, ValueError):
        return None
