"""Taking up the room that replaced segments have left in a TIFF.

Clean pixels pack smaller than noisy ones. What follows is moved up, and everything that points into
the file is brought up to date. A file with tags that may hold positions of their own, in a way that
only their maker knows, is left as it is: then the room stays empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from mdn.io.ifd import Layout, Place, directory_length, next_link, places

WORTH = 0.02  # share of the file that must be gained
STEP = 2**20  # bytes moved at once
_LARGEST = 4096  # entries of a directory
_COUNTS = {273: 279, 324: 325}  # where strips and tiles lie: how long each is
_SUBIFDS = 330
_INTEGERS = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_DIRECTORIES = (_SUBIFDS, 34665, 34853, 40965)  # and EXIF, GPS, interoperability
# Standard tags, and private ones that are known to hold no positions: XMP, IPTC, Photoshop, ICC,
# copyright, GeoTIFF, GDAL, LERC, ImageJ.
_KNOWN = frozenset(range(254, 533)) - {400, 512, 513, 514, 519, 520, 521}
_KNOWN |= {700, 32934, 32995, 32996, 32997, 32998, 33432, 33550, 33723, 33922, 34264, 34377, 34675}
_KNOWN |= {34735, 34736, 34737, 42112, 42113, 50674, 50838, 50839, *_DIRECTORIES}
_EXIF = frozenset(range(33434, 42241)) - {37500}  # the maker's note holds what it likes
_KNOWN_NESTED = frozenset(range(0, 32)) | _EXIF | {40965}

Hole = tuple[int, int]  # first byte, and the one behind the last


@dataclass(frozen=True)
class _Field:
    """Numbers in the file that are positions in it."""

    at: int
    values: np.ndarray


class _UnknownError(Exception):
    """The file holds what may point into it unseen."""


def pack(file: BinaryIO, holes: Sequence[Hole]) -> None:
    """Move up what follows each hole, if that is worth it, and cut the file off behind it.

    file: a whole TIFF, open for reading and writing; nobody else may know of it yet.
    """
    size = file.seek(0, 2)
    spans = sorted((a + a % 2, b - b % 2) for a, b in holes)  # words stay at even places
    spans = [(a, b) for a, b in spans if b > a]
    if sum(b - a for a, b in spans) < WORTH * size:
        return
    starts, ends = (np.array(column, np.int64) for column in zip(*spans, strict=True))
    if (starts[1:] < ends[:-1]).any():
        return
    try:
        fields = _Walk(file, starts, ends).fields()
    except _UnknownError:
        return
    gained = np.concatenate([[0], np.cumsum(ends - starts)])
    for field in fields:
        where = field.values.astype(np.int64)
        moved = where - gained[np.searchsorted(starts, where, "right")]
        file.seek(field.at)
        file.write(np.where(where > 0, moved, 0).astype(field.values.dtype).tobytes())
    _slide(file, starts, ends, size)


def _slide(file: BinaryIO, starts: np.ndarray, ends: np.ndarray, size: int) -> None:
    target = int(starts[0])
    for begin, end in zip(ends, [*starts[1:], size], strict=True):
        for place in range(int(begin), int(end), STEP):
            file.seek(place)
            data = file.read(min(STEP, int(end) - place))
            file.seek(target)
            target += file.write(data)
    file.truncate(target)


class _Walk:
    """Finds everything in a file that is a position in it."""

    def __init__(self, file: BinaryIO, starts: np.ndarray, ends: np.ndarray) -> None:
        self.file, self.starts, self.ends = file, starts, ends
        head = self._bytes(0, 4)
        order = "<" if head[:2] == b"II" else ">"
        self.layout = Layout("<" if order == "<" else ">", head[2:] in (b"+\0", b"\0+"))
        self.pointer = np.dtype(order + ("u8" if self.layout.big else "u4"))
        self.kinds = {code: np.dtype(order + kind) for code, kind in _INTEGERS.items()}

    def fields(self) -> list[_Field]:
        """All of them. Raises _UnknownError where that is not sure."""
        first = self._field(8 if self.layout.big else 4, self.pointer, 1)
        found, waiting = [first], [(int(first.values[0]), _KNOWN)]
        seen = {0}
        while waiting:
            at, known = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            entries, pointers = self._directory(at)
            if not set(entries) <= known:
                raise _UnknownError
            found += pointers
            waiting.append((int(pointers[-1].values[0]), known))
            for entry in entries.values():
                if entry.tag in _DIRECTORIES:
                    field = self._numbers(entry)
                    below = known if entry.tag == _SUBIFDS else _KNOWN_NESTED
                    waiting += [(int(place), below) for place in field.values]
                    found.append(field)
                elif entry.tag in _COUNTS:
                    found.append(self._segments(entry, entries))
        return found

    def _directory(self, at: int) -> tuple[dict[int, Place], list[_Field]]:
        """The entries of a directory by tag, the pointers to their values and to the next one."""
        claimed = directory_length(self._read, at, self.layout)
        if claimed is None or claimed > _LARGEST:
            raise _UnknownError
        found = list(places(self._read, at, self.layout))
        entries = {place.tag: place for place in found}
        if len(entries) < claimed:  # cut short, or a tag twice
            raise _UnknownError
        links = [place.link for place in found if place.link is not None]
        links.append(next_link(at, claimed, self.layout))
        return entries, [self._field(link, self.pointer, 1) for link in links]

    def _segments(self, entry: Place, entries: dict[int, Place]) -> _Field:
        """Where strips or tiles lie: none of them, of any page, in a hole."""
        if _COUNTS[entry.tag] not in entries:
            raise _UnknownError
        field = self._numbers(entry)
        lengths = self._numbers(entries[_COUNTS[entry.tag]]).values.astype(np.int64)
        begin = field.values.astype(np.int64)
        if len(begin) != len(lengths):
            raise _UnknownError
        before_end = np.searchsorted(self.starts, begin + lengths, "left")
        passed = np.searchsorted(self.ends, begin, "right")
        if (before_end > passed)[lengths > 0].any():
            raise _UnknownError
        return field

    def _numbers(self, entry: Place) -> _Field:
        if entry.type not in self.kinds:
            raise _UnknownError
        return self._field(entry.at, self.kinds[entry.type], entry.count)

    def _field(self, at: int, kind: np.dtype, count: int) -> _Field:
        return _Field(at, np.frombuffer(self._bytes(at, kind.itemsize * count), kind))

    def _read(self, at: int, count: int) -> bytes:
        self.file.seek(at)
        return self.file.read(count)

    def _bytes(self, at: int, count: int) -> bytes:
        data = self._read(at, count)
        if len(data) != count:
            raise _UnknownError
        return data
