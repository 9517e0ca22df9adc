"""EXIF blocks, small TIFF files that say among much else which way up a picture is.

They are made of the directories of TIFF: one reader for all that meet them.

A directory is a list of (tag, type, count, value), some of which point to further directories.
Values travel as the bytes they were stored in, so that nothing is rounded or recoded on the way
(TIFF 6.0, section 2; BigTIFF; Exif 2.32, section 4.6).
"""

import re
import struct
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mdn.image import Image

EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
POINTERS = frozenset({EXIF_IFD, GPS_IFD, INTEROP_IFD})

ORIENTATION = 0x0112
PIXEL_X, PIXEL_Y = 0xA002, 0xA003

# Tags of a TIFF page's own directory that EXIF knows as well: they say what the picture is and
# where it comes from, not how it is stored.
DESCRIPTIVE = frozenset(
    {270, 271, 272, 274, 305, 306, 315, 316, 18246, 18249, 33432}
    | {40091, 40092, 40093, 40094, 40095}
)

_ORIENTATION_IN_XMP = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)[2-8]")

# Bytes of one item of each type.
TYPE_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TYPE_SIZE |= {16: 8, 17: 8, 18: 8}
_MAX_VALUE = 2**26  # a genuine tag is far below; bounds what a damaged one can claim


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


def entry_count(data: bytes | memoryview, offset: int, layout: Layout) -> int:
    """How many entries the directory at `offset` claims to have; 0 where there is none."""
    if not 0 < offset <= len(data) - struct.calcsize(layout.length):
        return 0
    return int(struct.unpack_from(layout.length, data, offset)[0])


def entries(data: bytes | memoryview, offset: int, layout: Layout) -> dict[int, Entry]:
    """The entries of one directory, the first of each tag; those outside the data are left out."""
    step, room = struct.calcsize(layout.entry), struct.calcsize(layout.offset)
    start = offset + struct.calcsize(layout.length)
    stop = min(len(data) - step, start + (entry_count(data, offset, layout) - 1) * step)
    table: dict[int, Entry] = {}
    for place in range(start, stop + 1, step):
        tag, kind, count, inline = struct.unpack_from(layout.entry, data, place)
        size, at = TYPE_SIZE.get(kind, 0) * count, place + step - room
        if size > room:
            (at,) = struct.unpack(layout.offset, inline)
        value = bytes(data[at : at + size]) if 0 < size <= _MAX_VALUE else b""
        if value and len(value) == size:
            table.setdefault(tag, Entry(kind, count, value, at))
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


def orientation(block: bytes | None) -> int:
    """The EXIF orientation, 1 to 8; 1 when there is none or it is out of range."""
    if not block:
        return 1
    layout, directory = parse(block)
    value = number(directory.get(ORIENTATION), layout.order)
    return value if value is not None and 1 <= value <= 8 else 1


def upright(image: Image) -> Image:
    """Turn the pixels as the EXIF orientation says, and set that orientation to 1.

    Both the EXIF block and the XMP packet are edited in place: every other byte, maker notes and
    their internal offsets included, stays as it was. A thumbnail, which lies on its side, is cut
    off.
    """
    turn = orientation(image.meta.exif)
    if turn == 1:
        return image
    dpi = image.meta.dpi[::-1] if image.meta.dpi and turn >= 5 else image.meta.dpi
    block, xmp = set_upright(image.meta.exif, image.meta.xmp, turn)
    meta = replace(image.meta, exif=block, xmp=xmp, dpi=dpi)
    alpha = None if image.alpha is None else turned(image.alpha, turn)
    return replace(image, pixels=turned(image.pixels, turn), alpha=alpha, meta=meta)


def set_upright(
    block: bytes | None, xmp: bytes | None, turn: int
) -> tuple[bytes | None, bytes | None]:
    """An EXIF block and an XMP packet of a picture that has been turned by now.

    Formats whose own header turns the picture (JPEG XL, AVIF, HEIC) leave an orientation in EXIF
    that must not be followed a second time.

    turn: the orientation that the pixels were stored under, 1 to 8.
    """
    xmp = xmp and _ORIENTATION_IN_XMP.sub(rb"\g<1>1", xmp)
    if not block or orientation(block) == 1:
        return block, xmp
    layout, directory = parse(block)
    edited = bytearray(block)
    tag = directory[ORIENTATION]
    assert isinstance(tag, Entry)
    struct.pack_into(layout.order + ("H" if tag.type == 3 else "I"), edited, tag.position, 1)
    nested = directory.get(EXIF_IFD)
    if turn >= 5 and isinstance(nested, dict):
        wide, high = nested.get(PIXEL_X), nested.get(PIXEL_Y)
        if isinstance(wide, Entry) and isinstance(high, Entry) and wide.type == high.type:
            edited[wide.position : wide.position + len(wide.value)] = high.value
            edited[high.position : high.position + len(high.value)] = wide.value
    (first,) = struct.unpack_from(layout.offset, block, 4)
    count = entry_count(block, first, layout)
    link = first + struct.calcsize(layout.length) + count * struct.calcsize(layout.entry)
    edited[link : link + 4] = bytes(len(edited[link : link + 4]))  # a thumbnail lies on its side
    return bytes(edited), xmp


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """Bring (pages, H, W, ...) stored under an EXIF orientation 1..8 upright (Exif 2.32, 4.6.4)."""
    if orientation >= 5:
        array = array.swapaxes(1, 2)
    if orientation in (3, 4, 7, 8):
        array = array[:, ::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, :, ::-1]
    return np.ascontiguousarray(array)
