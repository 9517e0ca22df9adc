"""A Zarr store written back: a copy in which chunks are replaced and levels rebuilt, nothing else.

Attributes, labels, tables and files that nobody here has heard of stay as they are, to the byte.
"""

import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mdn.errors import FileError
from mdn.io.atomic import replacing_folder
from mdn.io.base import guarded
from mdn.io.stack import Lines, Plane
from mdn.io.tiff.rewrite import alike, block_edges, shrunk
from mdn.io.zarr.stack import STORE, ZarrRows, ZarrStack, open_group

_MARKS = ("zarr.json", ".zgroup", ".zattrs", ".zarray")


def _write_line(rows: ZarrRows, array: Any, top: int, block: np.ndarray) -> None:
    """Writes a line of chunks of a picture. array: the same in the copy, open for writing."""
    across = slice(top, top + len(block))
    for left in range(0, rows.width, rows.block_width):
        columns = slice(left, min(rows.width, left + rows.block_width))
        # What the store left out, or is empty, stays so: there was nothing to denoise.
        if (rows.part(across, columns) == array.fill_value).all():
            continue
        # Nor is a chunk coded again that is what it was.
        if not alike(rows.part(across, columns, array), block[:, columns]):
            put(rows, array, across, columns, block[:, columns])


def put(rows: ZarrRows, array: Any, across: slice, columns: slice, block: np.ndarray) -> None:
    """Write (rows, columns, samples) to where `rows` is in an array."""
    shared = any(isinstance(where, slice) for where in rows.place)
    with guarded(rows.name, *STORE):
        values = np.moveaxis(block, -1, 0) if shared else block[..., 0]
        array[(*rows.place, across, columns)] = np.ascontiguousarray(values)


class ZarrRewriter:
    """A copy of a store in the making."""

    def __init__(self, stack: ZarrStack, folder: Path) -> None:
        self.stack = stack
        self.root = open_group(folder, "r+", stack.name)
        self.written: dict[int, set[tuple[int, ...]]] = {}  # places by picture

    @contextmanager
    def page(self, planes: Sequence[Plane]) -> Iterator[Lines]:
        """Takes the rows of planes that share them; chunks or shards are written when whole."""
        rows = planes[0].rows
        assert isinstance(rows, ZarrRows)
        array = self.root[self.stack.levels[planes[0].series][0]]
        yield Lines(rows.height, rows.block_height, partial(_write_line, rows, array))
        rows.release()
        self.count(planes)

    def count(self, planes: Sequence[Plane]) -> None:
        """Counts planes among those that were written, if they are other ones than in the source:
        `rebuild_pyramids` goes by them.
        """
        for plane in planes:
            rows, (sample,) = plane.rows, plane.samples
            assert isinstance(rows, ZarrRows)
            copy = self.root[self.stack.levels[plane.series][0]]
            for block in _blocks(rows):
                if not alike(rows.part(*block)[..., sample], rows.part(*block, copy)[..., sample]):
                    place = tuple(sample if isinstance(i, slice) else i for i in rows.place)
                    self.written.setdefault(plane.series, set()).add(place)
                    break

    def rebuild_pyramids(self) -> None:
        """Make the smaller levels of what was written out of the larger ones."""
        for series, places in self.written.items():
            levels = [self.root[path] for path in self.stack.levels[series]]
            for large, small in itertools.pairwise(levels):
                places = self._level(large, small, places)

    def _level(self, large: Any, small: Any, places: set[tuple[int, ...]]) -> set[tuple[int, ...]]:
        """One level; where it was written in turn."""
        name = self.stack.name
        if small.ndim != large.ndim or any(map(np.greater, small.shape, large.shape)):
            raise FileError(name, "has levels of other axes or growing sizes", "check the store")
        edges = [block_edges(a, b) for a, b in zip(large.shape, small.shape, strict=True)]
        outer = edges[:-2]
        blocks = {
            tuple(
                int(np.searchsorted(e, i, "right")) - 1 for e, i in zip(outer, place, strict=True)
            )
            for place in places
        }
        for place in sorted(blocks):
            # The pictures that one of the smaller level is the mean of: several if z shrinks too.
            spans = [range(e[i], e[i + 1]) for e, i in zip(outer, place, strict=True)]
            sources = [ZarrRows(large, span, name) for span in itertools.product(*spans)]
            target = ZarrRows(small, place, name)
            for across, columns in _blocks(target):
                y = edges[-2][across.start : across.stop + 1]
                x = edges[-1][columns.start : columns.stop + 1]
                where = slice(int(y[0]), int(y[-1])), slice(int(x[0]), int(x[-1]))
                whole = np.mean([rows.part(*where).astype(np.float64) for rows in sources], axis=0)
                block = shrunk(whole, y[:-1] - y[0], x[:-1] - x[0])
                block = np.rint(block) if target.dtype.kind in "iu" else block
                put(target, small, across, columns, block.astype(target.dtype))
        return blocks


def _blocks(rows: ZarrRows) -> Iterator[tuple[slice, slice]]:
    for top in range(0, rows.height, rows.block_height):
        for left in range(0, rows.width, rows.block_width):
            bottom, right = top + rows.block_height, left + rows.block_width
            yield slice(top, min(rows.height, bottom)), slice(left, min(rows.width, right))


@contextmanager
def rewrite_zarr(
    stack: ZarrStack, target: Path, quality: int = 95, *, overwrite: bool = True
) -> Iterator[ZarrRewriter]:
    """A copy of the store, in which pictures can be replaced; it becomes `target` at the end.

    quality: ignored: a store is written by its own codecs.
    overwrite: replace what is there, or appears meanwhile; else that is an error.
    Raises FileError: it cannot be written, or lies in its own source.
    """
    check_target(stack, target)
    with replacing_folder(target, overwrite=overwrite) as folder:
        copy_store(stack, folder)
        writer = ZarrRewriter(stack, folder)
        yield writer
        writer.rebuild_pyramids()


def check_target(stack: ZarrStack, target: Path) -> None:
    """Raises FileError where a store lies in the way of its own copy, or something else does."""
    source, place = stack.path.resolve(), target.resolve()
    if source == place or source in place.parents or place in source.parents:
        raise FileError(target, "lies in its own input, or around it", "choose another with -o")
    if target.exists() and not any((target / mark).is_file() for mark in _MARKS):
        raise FileError(target, "is there and is no Zarr store", "choose another with -o")


def copy_store(stack: ZarrStack, folder: Path) -> None:
    """All files; links are followed to files, and nothing else that is no file is let in."""
    source, name = stack.path, stack.name
    for root, folders, files in os.walk(source):
        here = Path(root)
        for path in folders:
            if (here / path).is_symlink():
                raise FileError(name, f"holds a link to a folder ({path})", "put the folder there")
        into = folder / here.relative_to(source)
        into.mkdir(exist_ok=True)
        for path in files:
            if not (here / path).is_file():
                raise FileError(name, f"holds {path}, which is no regular file", "remove it")
            shutil.copyfile(here / path, into / path)
