"""Other pixels in the same TIFF: a copy of the file whose segments are replaced one by one.

Every tag, description and look-up table of the source thereby stays as it is, to the byte, also
those that nobody here has heard of. Only what says where the segments lie is brought up to date.
"""

from typing import BinaryIO

import numpy as np
from tifffile import TiffPage

from mdn.errors import FileError
from mdn.io.base import DAMAGED
from mdn.io.stack import Lines
from mdn.io.tiff.rows import Rows


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
        out: the copy, open for reading and writing.
        quality: 1 to 100, for JPEG.
    """

    def __init__(self, rows: Rows, out: BinaryIO, quality: int) -> None:
        self.rows, self.out, self.quality = rows, out, quality
        self.offsets, self.counts = list(rows.offsets), list(rows.counts)
        self._lines = Lines(rows.height, rows.block_height, self._line)
        self._changed: set[int] = set()  # segments, or rows where there are none to speak of

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

    @property
    def changed(self) -> bool:
        """Whether any sample that was written is another than before."""
        return bool(self._changed)

    def _mark(self, number: int, same: bool) -> None:
        """What was written before counts no more."""
        if same:
            self._changed.discard(number)
        else:
            self._changed.add(number)

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

    def holes(self) -> list[tuple[int, int]]:
        """The parts of the file that the old segments held and the new ones do not."""
        before = zip(self.rows.offsets, self.rows.counts, strict=True)
        after = zip(self.offsets, self.counts, strict=True)
        return [
            (old + (count if new == old else 0), old + length)
            for (old, length), (new, count) in zip(before, after, strict=True)
            if new != old or count < length
        ]

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
