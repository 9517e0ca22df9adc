"""A stack written back: its planes replaced, its pyramid rebuilt, everything else as it was."""

import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tifffile import TiffFile, TiffPage, TiffPageSeries

from mdn.io.atomic import replacing
from mdn.io.base import quiet
from mdn.io.stack import Plane
from mdn.io.tiff.pack import Hole, pack
from mdn.io.tiff.patch import RowsOut
from mdn.io.tiff.rows import Rows
from mdn.io.tiff.stack import TiffStack, picture_series

CHUNK = 128  # rows read at once to make a smaller level


class Rewriter:
    """A copy of a stack in the making.

    quality: 1 to 100, for pages compressed as JPEG.
    """

    def __init__(self, stack: TiffStack, out: BinaryIO, quality: int) -> None:
        self.stack, self.out, self.quality = stack, out, quality
        self.holes: list[Hole] = []
        self.written: set[tuple[int, int]] = set()  # pages with other samples than before

    @contextmanager
    def page(self, planes: Sequence[Plane]) -> Iterator[RowsOut]:
        """Takes the rows of planes that share a page, from the top down; see `RowsOut.write`."""
        series, number, rows = planes[0].series, planes[0].number, planes[0].rows
        assert isinstance(rows, Rows)
        writer = RowsOut(rows, self.out, self.quality)
        yield writer
        found = picture_series(self.stack.file)[series].pages[0 if rows.virtual else number]
        assert found is not None
        writer.finish(found if isinstance(found, TiffPage) else found.aspage())
        self.holes += writer.holes()
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
                    found = picture_series(file)[series].levels
                    self._level(found[level - 1], found[level], numbers)

    def _level(self, large: TiffPageSeries, small: TiffPageSeries, numbers: list[int]) -> None:
        for number in numbers:
            origin, page = large.pages[number], small.pages[number]
            if origin is None or page is None:
                continue
            source, target = (Rows(each, None, self.stack.name) for each in (origin, page))
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
            self.holes += writer.holes()


@contextmanager
def rewrite(
    stack: TiffStack, target: Path, quality: int = 95, *, overwrite: bool = True
) -> Iterator[Rewriter]:
    """A copy of the stack, in which pages can be replaced; it becomes `target` at the end, whole.

    Args:
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
        pack(out, writer.holes)


def shrunk(rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """The mean of blocks: what a smaller level of a pyramid holds.

    Args:
        rows: (r, W, samples), of whole blocks.
        down, across: the rows and the columns at which blocks begin.

    Returns:
        (len(down), len(across), samples) of the same dtype.
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
