"""Boxes of the ISO base media file format, which AVIF, HEIC and JPEG XL are made of (ISO 14496-12).

A box is a 32-bit length, four letters, and its content; a "full" box begins with a version and 24
bits of flags.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_EXIF = b"Exif\0\0"
_TIFF_HEADS = b"MM\0*", b"II*\0"  # one of which an EXIF block begins with


class Box(NamedTuple):
    """One box: its four letters, and where its content lies in the data."""

    kind: bytes
    start: int
    stop: int


def walk(data: bytes, start: int = 0, stop: int | None = None) -> Iterator[Box]:
    """The boxes that lie one behind the other between two positions.

    Raises ValueError: one is cut short, or longer than what holds it.
    """
    stop = len(data) if stop is None else stop
    while start < stop:
        if start + 8 > stop:
            raise ValueError("a box is cut short")
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= stop:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        elif size == 0:  # to the end of what holds it
            size = stop - start
        if size < head or start + size > stop:
            raise ValueError("a box is cut short")
        yield Box(kind, start + head, start + size)
        start += size


def find(data: bytes, kind: bytes, start: int = 0, stop: int | None = None) -> Box | None:
    """The first box of a kind, or None."""
    return next((box for box in walk(data, start, stop) if box.kind == kind), None)


def box(kind: bytes, *content: bytes) -> bytes:
    """A box around its content."""
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def brands(data: bytes) -> frozenset[bytes]:
    """The four-letter names of what a file claims to be; empty where it has no `ftyp` box."""
    if data[4:8] != b"ftyp" or len(data) < 16:
        return frozenset()
    stop = min(int.from_bytes(data[:4], "big"), len(data), 256)
    places = [8, *range(16, stop - 3, 4)]  # between the two lies a version number
    return frozenset(data[at : at + 4] for at in places)


def exif_of(body: bytes) -> bytes | None:
    """The EXIF block of an item or box, which says first how far it is (ISO 23008-12, A.2).

    Some programs leave that out, and begin with the block.
    """
    if len(body) < 8:
        return None
    if body.startswith(_TIFF_HEADS):
        return body
    block = body[4 + int.from_bytes(body[:4], "big") :]
    return block.removeprefix(_EXIF) or None


def exif_body(block: bytes) -> bytes:
    """An EXIF block as an item or box holds it."""
    return bytes(4) + block
