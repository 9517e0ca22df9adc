"""Directories of TIFF, which EXIF blocks are made of too: one reader for all that meet them.

A directory is a list of (tag, type, count, value), some of which point to further directories.
Values travel as the bytes they were stored in, so that nothing is rounded or recoded on the way
(TIFF 6.0, section 2; BigTIFF; Exif 2.32, section 4.6).
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
POINTERS = frozenset({EXIF_IFD, GPS_IFD, INTEROP_IFD})

# Bytes of one item of each type.
TYPE_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TYPE_SIZE |= {16: 8, 17: 8, 18: 8}
_MAX_VALUE = 2**26  # a genuine tag is far below; bounds what a damaged one can claim

Read = Callable[[int, int], bytes]  # (position, count) -> so many bytes, or fewer at the end


@dataclass(frozen=True)
class Entry:
    """One tag: its TIFF type, number of items, their bytes, and where those lay in the source."""

    type: int
    count: int
    value: bytes
    position: int = 0


Directory = dict[int, "Entry | Directory"]


@dataclass(frozen=True)
class Layout:
    """How directories are laid out: byte order "<" or ">", classic or BigTIFF."""

    order: Literal["<", ">"]
    big: bool = False

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def pointer(self) -> int:
        """The type of a tag that points to a directory: LONG, or IFD8."""
        return 18 if self.big else 4

    @property
    def length(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def entry(self) -> str:
        return self.order + ("HHQ8s" if self.big else "HHI4s")


@dataclass(frozen=True)
class Place:
    """Where one tag of a directory lies."""

    # tag, type, count: as stored
    tag: int
    type: int
    count: int
    at: int  # where its value begins
    link: int | None  # where the pointer to the value lies; None where the entry itself holds it


def directory_length(read: Read, offset: int, layout: Layout) -> int | None:
    """How many entries a directory claims to have; None where there is none."""
    data = read(offset, struct.calcsize(layout.length)) if offset > 0 else b""
    if len(data) < struct.calcsize(layout.length):
        return None
    return int(struct.unpack(layout.length, data)[0])


def places(read: Read, offset: int, layout: Layout) -> Iterator[Place]:
    """The entries of the directory at `offset`, as far as there are bytes of it."""
    claimed = directory_length(read, offset, layout)
    if claimed is None:
        return
    step, room = struct.calcsize(layout.entry), struct.calcsize(layout.offset)
    start = offset + struct.calcsize(layout.length)
    data = read(start, claimed * step)
    for index in range(len(data) // step):
        tag, kind, count, inline = struct.unpack_from(layout.entry, data, index * step)
        at, link = start + (index + 1) * step - room, None
        if TYPE_SIZE.get(kind, 0) * count > room:
            at, link = struct.unpack(layout.offset, inline)[0], at
        yield Place(tag, kind, count, at, link)


def next_link(offset: int, claimed: int, layout: Layout) -> int:
    """Where the pointer to the next directory lies, behind so many entries."""
    return offset + struct.calcsize(layout.length) + claimed * struct.calcsize(layout.entry)


def entries(data: bytes | memoryview, offset: int, layout: Layout) -> dict[int, Entry]:
    """The entries of one directory, the first of each tag; those outside the data are left out."""
    table: dict[int, Entry] = {}
    for place in places(lambda at, count: bytes(data[at : at + count]), offset, layout):
        size = TYPE_SIZE.get(place.type, 0) * place.count
        value = bytes(data[place.at : place.at + size]) if 0 < size <= _MAX_VALUE else b""
        if value and len(value) == size:
            table.setdefault(place.tag, Entry(place.type, place.count, value, place.at))
    return table


def read_directory(data: bytes, offset: int, layout: Layout, depth: int = 0) -> Directory:
    """Read the directory at `offset` and those it points to."""
    directory: Directory = {}
    for tag, entry in entries(data, offset, layout).items():
        if tag not in POINTERS:
            directory[tag] = entry
        elif depth < 2 and (target := number(entry, layout.order)) is not None:
            directory[tag] = read_directory(data, target, layout, depth + 1)
    return directory


def write_directory(directory: Directory, layout: Layout, base: int) -> bytes:
    """Lay out a directory, its values and the directories it points to, to be put at `base`.

    Args:
        directory: what to write; values must be in the byte order of `layout`.
        base: even position in the file at which the result will start.
    """
    step, room = struct.calcsize(layout.entry), struct.calcsize(layout.offset)
    head = struct.calcsize(layout.length) + step * len(directory) + room
    entries, heap = [struct.pack(layout.length, len(directory))], b""
    for tag, item in sorted(directory.items()):
        heap += b"\0" * (len(heap) % 2)
        position = base + head + len(heap)
        if not isinstance(item, Entry):
            heap += write_directory(item, layout, position)
            item = Entry(layout.pointer, 1, struct.pack(layout.offset, position))
        value = item.value
        if len(value) > room:
            heap, value = heap + value, struct.pack(layout.offset, position)
        entries.append(struct.pack(layout.entry, tag, item.type, item.count, value))
    entries.append(struct.pack(layout.offset, 0))
    return b"".join(entries) + heap


def parse(block: bytes) -> tuple[Layout, Directory]:
    """Read an EXIF block; an unreadable one gives an empty directory."""
    layout = Layout(">" if block[:2] == b"MM" else "<")
    if block[:4] not in (b"II*\0", b"MM\0*") or len(block) < 8:
        return layout, {}
    (offset,) = struct.unpack_from(layout.offset, block, 4)
    return layout, read_directory(block, offset, layout)


def build(directory: Directory, order: Literal["<", ">"]) -> bytes:
    """An EXIF block that holds `directory`, whose values are in byte order `order`."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    layout = Layout(order)
    return head + struct.pack(layout.offset, 8) + write_directory(directory, layout, 8)


def number(entry: Entry | Directory | None, order: str) -> int | None:
    """The first number of a tag of whole numbers; None where it is no such tag."""
    code = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
    if not isinstance(entry, Entry) or entry.type not in code:
        return None
    return int(struct.unpack_from(order + code[entry.type], entry.value)[0])
