"""A stack written back: its planes replaced, its pyramid rebuilt, everything else as it was.

The copy's segments are replaced one by one. Every tag, description and look-up table of the source
thereby stays as it is, to the byte, also those that nobody here has heard of. Only what says where
the segments lie is brought up to date.
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tifffile import TiffFile, TiffPage, TiffPageSeries

from mdn.errors import FileError
from mdn.io.atomic import replacing
from mdn.io.base import DAMAGED, quiet
from mdn.io.stack import Lines, Plane
from mdn.io.tiff.rows import Rows
from mdn.io.tiff.stack import TiffStack, picture_series

CHUNK = 128  # rows read at once to make a smaller level


def alike(old: np.ndarray, new: np.ndarray) -> bool:
    """Whether samples are the same; what is no number is like itself."""
    return np.array_equal(old, new, equal_nan=old.dtype.kind == "f")


class RowsOut:
    """Writes rows of a page from the top down, each segment as soon as it is whole.

    A segment takes the place of the old one where it fits, and else goes to the end of the file. So
    nothing else in the file moves, and whatever points at it stays true. One whose samples are what
    they were is not coded again: it keeps its bytes, and a JPEG loses nothing.

    Args:
        rows: how the page is stored, in the file that `out` is a copy of.
        quality: 1 to 100, for JPEG.
    """

    def __init__(self, rows: Rows, out: BinaryIO, quality: int) -> None:
        self.rows, self.out, self.quality = rows, out, quality
        self.offsets, self.counts = list(rows.offsets), list(rows.counts)
        self._lines = Lines(rows.height, rows.block_height, self._line)
        # segments, or rows where there are none to speak of, with other samples than before
        self.changed: set[int] = set()

    def write(self, start: int, block: np.ndarray) -> None:
        """Rows from `start` on, (rows, width, samples). Starting again at row 0 is allowed."""
        rows = self.rows
        if rows.raw_offset is not None:
            before = rows.read(start, start + len(block))
            for row, old, new in zip(range(start, rows.height), before, block, strict=False):
                self._mark(row, alike(old, new))
            self.out.seek(rows.raw_offset + start * rows.row_bytes)
            self.out.write(np.ascontiguousarray(block.astype(rows.stored)).data)
            return
        self._lines.write(start, block)

    def _mark(self, number: int, same: bool) -> None:
        """What was written before counts no more."""
        (self.changed.discard if same else self.changed.add)(number)

    def _line(self, top: int, block: np.ndarray) -> None:
        rows = self.rows
        line = top // rows.block_height
        planes = rows.key.shaped[0]
        inner = rows.samples // planes
        for plane in range(planes):
            part = block[..., plane * inner : (plane + 1) * inner]
            for column in range(rows.columns):
                index = (plane * rows.lines + line) * rows.columns + column
                if rows.counts[index]:  # what the file left out stays out
                    left = column * rows.block_width
                    segment = part[:, left : left + rows.block_width]
                    before, samples = rows.segment(index)
                    same = alike(samples[: len(segment), : segment.shape[1]], segment)
                    self._mark(index, same)
                    self._store(index, before if same else rows.encode(segment, self.quality))

    def _store(self, index: int, data: bytes) -> None:
        if len(data) <= self.rows.counts[index]:
            self.offsets[index] = self.rows.offsets[index]
        elif len(data) > self.counts[index]:
            self.offsets[index] = self.out.seek(0, 2) + self.out.tell() % 2
        self.out.seek(self.offsets[index])
        self.out.write(data)
        self.counts[index] = len(data)

    def finish(self, page: TiffPage) -> None:
        """Enter where the segments are now. `page`: the page's own directory, not a summary."""
        before = list(self.rows.offsets), list(self.rows.counts)
        if self.rows.raw_offset is not None or (self.offsets, self.counts) == before:
            return
        for codes, values in (((324, 273), self.offsets), ((325, 279), self.counts)):
            code = next((c for c in codes if c in page.tags), None)
            if code is None:
                raise FileError(self.rows.name, "does not say where its strips are", DAMAGED)
            self._enter(page, code, values)

    def _enter(self, page: TiffPage, code: int, values: list[int]) -> None:
        """Replace the numbers of a tag, in wider ones at the end of the file where they need it."""
        tag, big, order = page.tags[code], page.parent.is_bigtiff, page.parent.byteorder
        widths = {3: "u2", 4: "u4", 16: "u8"}
        if tag.dtype in widths and max(values) <= np.iinfo(widths[tag.dtype]).max:
            self.out.seek(tag.valueoffset)
            self.out.write(np.array(values, order + widths[tag.dtype]).tobytes())
            return
        if not big and max(values) >= 2**32:
            raise FileError(self.rows.name, "would outgrow a TIFF of 4 GB", "save it as BigTIFF")
        data = np.array(values, order + ("u8" if big else "u4")).tobytes()
        room = 8 if big else 4
        place = tag.offset + (12 if big else 8)
        if len(data) > room:
            end = self.out.seek(0, 2) + self.out.tell() % 2
            self.out.seek(end)
            self.out.write(data)
            data = np.array([end], order + ("u8" if big else "u4")).tobytes()
        self.out.seek(place)
        self.out.write(data)
        self.out.seek(tag.offset + 2)
        self.out.write(np.array([16 if big else 4], order + "u2").tobytes())


class Rewriter:
    """A copy of a stack in the making. quality: 1 to 100, for pages compressed as JPEG."""

    def __init__(self, stack: TiffStack, out: BinaryIO, quality: int) -> None:
        self.stack, self.out, self.quality = stack, out, quality
        self.written: set[tuple[int, int]] = set()  # pages with other samples than before

    @contextmanager
    def page(self, planes: Sequence[Plane]) -> Iterator[RowsOut]:
        """Takes the rows of planes that share a page, from the top down; see `RowsOut.write`."""
        series, number, rows = planes[0].series, planes[0].number, planes[0].rows
        assert isinstance(rows, Rows)
        writer = RowsOut(rows, self.out, self.quality)
        yield writer
        origin = picture_series(self.stack.file)[series].pages[0 if rows.virtual else number]
        assert origin is not None
        writer.finish(origin if isinstance(origin, TiffPage) else origin.aspage())
        rows.release()
        if writer.changed:
            self.written.add((series, number))

    def rebuild_pyramid(self) -> None:
        """Make the smaller levels of what was written out of the larger ones."""
        for series in sorted({series for series, _ in self.written}):
            numbers = sorted(number for place, number in self.written if place == series)
            levels = len(picture_series(self.stack.file)[series].levels)
            for level in range(1, levels):
                self.out.flush()
                # Opened anew, since writing a level has moved its segments.
                with TiffFile(self.out.name, _multifile=False) as file:
                    pictures = picture_series(file)[series].levels
                    self._level(pictures[level - 1], pictures[level], numbers)

    def _level(self, large: TiffPageSeries, small: TiffPageSeries, numbers: list[int]) -> None:
        for number in numbers:
            origin, page = large.pages[number], small.pages[number]
            if origin is None or page is None:
                continue
            source, target = (Rows(part, None, self.stack.name) for part in (origin, page))
            if source.samples != target.samples or source.dtype != target.dtype:
                continue
            writer = RowsOut(target, self.out, self.quality)
            edges = block_edges(source.height, target.height)
            across = block_edges(source.width, target.width)[:-1]
            count = max(1, CHUNK * target.height // source.height)
            for top in range(0, target.height, count):
                start, stop = edges[top], edges[min(top + count, target.height)]
                down = edges[top : min(top + count, target.height)] - start
                writer.write(top, shrunk(source.read(start, stop), down, across))
            writer.finish(page if isinstance(page, TiffPage) else page.aspage())


@contextmanager
def rewrite(
    stack: TiffStack, target: Path, quality: int = 95, *, overwrite: bool = True
) -> Iterator[Rewriter]:
    """A copy of the stack, in which pages can be replaced; it becomes `target` at the end, whole.

    quality: 1 to 100, for pages that are stored as JPEG.
    overwrite: replace what is there, or appears meanwhile; else that is an error.
    Raises FileError: it cannot be written.
    """
    with replacing(target, overwrite=overwrite) as out:
        with stack.path.open("rb") as source:
            shutil.copyfileobj(source, out, 2**20)
        writer = Rewriter(stack, out, quality)
        yield writer
        with quiet():
            writer.rebuild_pyramid()


def shrunk(rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """The mean of blocks: what a smaller level of a pyramid holds.

    rows: (r, W, samples), of whole blocks. down, across: the rows and columns at which they begin.
    Returns (len(down), len(across), samples) of the same dtype.
    """
    # Sums of blocks of 16-bit samples are whole numbers that float32 holds.
    wide = rows.astype(np.float32 if rows.dtype.itemsize <= 2 else np.float64)
    sums = np.add.reduceat(np.add.reduceat(wide, down, axis=0), across, axis=1)
    tall = np.diff(np.append(down, len(rows)))
    broad = np.diff(np.append(across, rows.shape[1]))
    mean = sums / (tall[:, None] * broad)[..., None]
    return (np.rint(mean) if rows.dtype.kind in "iu" else mean).astype(rows.dtype)


def block_edges(size: int, parts: int) -> np.ndarray:
    """Where each of `parts` blocks of an axis begins, and where the last ends."""
    return np.array([math.floor(i * size / parts) for i in range(parts + 1)])
