"""HEIF, which AVIF and HEIC are kinds of: how samples are stored, and what lies beside them.

A picture is an item of the `meta` box, and so is each block of metadata; properties such as colours
and rotation are listed once and associated with items by number (ISO/IEC 23008-12; ISO 14496-12,
8.11).
"""

import struct
from typing import NamedTuple

import numpy as np

from mdn.image import Image
from mdn.io.base import rescaled, with_alpha
from mdn.io.colour import BT709, BT2020, SRGB, UNSPECIFIED, Cicp
from mdn.io.photo.boxes import Box, box, exif_body, exif_of, find, walk
from mdn.io.xmp import DEPTH, FILM, GAIN_MAP

AUXILIARY = "auxiliary picture"
IDENTITY, _BT601_MATRIX, _BT2020_MATRIX = 0, 6, 9  # from RGB to what is stored

_MIME = b"application/rdf+xml"
_MAX_ITEMS = 2**12
_TRANSFORMS, _ESSENTIAL = (b"clap", b"irot", b"imir"), 0x80  # readers must know these
_ALPHAS = "urn:mpeg:mpegb:cicp:systems:auxiliary:alpha", "urn:mpeg:hevc:2015:auxid:1"
_DEPTHS = "urn:mpeg:mpegb:cicp:systems:auxiliary:depth", "urn:mpeg:hevc:2015:auxid:2"


class Storage(NamedTuple):
    """How a picture is stored."""

    array: np.ndarray  # (H, W) or (H, W, 2 to 4) of `bits` bits
    bits: int
    lossless: bool
    full_chroma: bool
    colour: Cicp
    matrix: int  # from RGB, where any loses


def storage(image: Image, format: str, quality: int) -> Storage:
    """As the file of this format was that the picture came from, or else of that quality."""
    meta, array, bits = image.meta, np.ascontiguousarray(with_alpha(image)), 8
    if array.dtype == np.uint16:
        bits = 10 if (meta.bits or 12) <= 10 else 12
        array = rescaled(array, 65535, 2**bits - 1)
    lossless = quality == 100 or meta.private.get(format, {}).get("lossless", False)
    colour = Cicp(*meta.cicp) if meta.cicp else Cicp(BT709, SRGB)
    colour = Cicp(UNSPECIFIED, UNSPECIFIED) if meta.icc else colour
    matrix = _BT2020_MATRIX if colour.primaries == BT2020 else _BT601_MATRIX
    return Storage(array, bits, lossless, lossless or quality >= 90, colour, matrix)


class _Numbers:
    """Reads the numbers of a list, one behind the other. Raises ValueError at its end."""

    def __init__(self, body: bytes) -> None:
        self.body, self.at = body, 0

    def take(self, size: int) -> int:
        self.at += size
        if self.at > len(self.body):
            raise ValueError("a list is cut short")
        return int.from_bytes(self.body[self.at - size : self.at], "big")


class Items:
    """The primary picture of a file, and what belongs to it. Raises ValueError: it is damaged.

    Attributes:
        primary: the number of its item.
        kinds: kind, content type and whether it is hidden, by item.
        contents: of each item that is metadata.
        references: kind, from which item, to which.
        properties: of the primary picture, as (letters, content), in the order of association.
    """

    def __init__(self, data: bytes) -> None:
        whole = find(data, b"meta")
        if whole is None:
            raise ValueError("no description of its content")
        self.data, self.whole = data, whole
        self.parts = {part.kind: part for part in walk(data, whole.start + 4, whole.stop)}
        version, body = self.full(b"pitm")
        self.primary = int.from_bytes(body[: 4 if version else 2], "big")
        self.kinds = self._kinds()
        self.contents = self._contents()
        self.references = self._references()
        self.properties = self.properties_of(self.primary)

    def full(self, kind: bytes) -> tuple[int, bytes]:
        """Version and content of a part; content behind version and flags."""
        part = self.parts.get(kind)
        return (0, b"") if part is None else _full(self.data, part)

    def last(self, kind: bytes) -> bytes | None:
        """The content of the primary picture's last property of a kind, or None."""
        return next((body for name, body in reversed(self.properties) if name == kind), None)

    def metadata(self) -> tuple[bytes | None, bytes | None]:
        """EXIF and XMP."""
        exif = xmp = None
        for item, (kind, content, _) in self.kinds.items():
            block = self.contents.get(item, b"")
            if kind == b"Exif":
                exif = exif or exif_of(block)
            elif kind == b"mime" and content == _MIME:
                xmp = xmp or block or None
        return exif, xmp

    def others(self) -> int:
        """How many pictures are no part of the primary one and are not hidden."""
        parts = {item for *_, owners in self.references for item in owners}  # tiles of a grid
        parts |= {source for kind, source, _ in self.references if kind in (b"auxl", b"thmb")}
        parts.add(self.primary)
        pictures = {i for i, (kind, *_) in self.kinds.items() if kind in (b"av01", b"grid")}
        return sum(not self.kinds[item][2] for item in pictures - parts)

    def beside(self) -> tuple[str, ...]:
        """What there is beside the picture: gain map, depth map, film, other pictures.

        A gain map is an input of a `tmap` item (ISO 21496-1 in HEIF), or an auxiliary picture;
        Google's motion photos have their film in a box `mpvd`. Alpha is part of the picture.
        """
        parts = [GAIN_MAP] if any(kind == b"tmap" for kind, *_ in self.kinds.values()) else []
        for kind, source, owners in self.references:
            if kind == b"auxl" and self.primary in owners:
                for name, body in self.properties_of(source):
                    urn = body[4:].split(b"\0")[0].decode("latin-1").lower()
                    if name == b"auxC" and urn not in _ALPHAS:  # ISO 23008-12, 6.6.2.1.1; Apple's
                        other = GAIN_MAP if "hdrgainmap" in urn else AUXILIARY
                        parts.append(DEPTH if urn in _DEPTHS else other)
        if find(self.data, b"mpvd") is not None:
            parts.append(FILM)
        return tuple(dict.fromkeys(parts))

    def _kinds(self) -> dict[int, tuple[bytes, bytes, bool]]:
        kinds: dict[int, tuple[bytes, bytes, bool]] = {}
        part = self.parts.get(b"iinf")
        if part is None:
            return kinds
        start = part.start + (8 if self.data[part.start] else 6)
        for entry in walk(self.data, start, part.stop):
            version, body = _full(self.data, entry)
            wide = 4 if version == 3 else 2
            kind, rest = body[wide + 2 : wide + 6], body[wide + 6 :].split(b"\0")
            content = rest[1] if kind == b"mime" and len(rest) > 1 else b""
            hidden = bool(self.data[entry.start + 3] & 1)
            kinds[int.from_bytes(body[:wide], "big")] = kind, content, hidden
            if len(kinds) > _MAX_ITEMS:
                raise ValueError("far too many items")
        return kinds

    def _contents(self) -> dict[int, bytes]:
        version, body = self.full(b"iloc")
        contents: dict[int, bytes] = {}
        if not body:
            return contents
        sizes = [body[0] >> 4, body[0] & 15, body[1] >> 4, body[1] & 15 if version else 0]
        wide = 4 if version == 2 else 2
        numbers = _Numbers(body[2:])
        for _ in range(numbers.take(wide)):
            item = numbers.take(wide)
            within = numbers.take(2) & 15 if version else 0  # 0: in the file, 1: in `idat`
            numbers.take(2)
            base, content = numbers.take(sizes[2]), b""
            if within == 1 and b"idat" in self.parts:
                base += self.parts[b"idat"].start
            for _ in range(numbers.take(2)):
                numbers.take(sizes[3])
                start, length = base + numbers.take(sizes[0]), numbers.take(sizes[1])
                if self.kinds.get(item, (b"",))[0] in (b"Exif", b"mime"):
                    content += self.data[start : start + length]
            contents[item] = content
        return contents

    def _references(self) -> list[tuple[bytes, int, list[int]]]:
        part = self.parts.get(b"iref")
        if part is None:
            return []
        wide = 4 if self.data[part.start] else 2
        references = []
        for entry in walk(self.data, part.start + 4, part.stop):
            body = self.data[entry.start : entry.stop]
            items = [
                int.from_bytes(body[at : at + wide], "big")
                for at in range(wide + 2, len(body), wide)
            ]
            references.append((entry.kind, int.from_bytes(body[:wide], "big"), items))
        return references

    def properties_of(self, item: int) -> list[tuple[bytes, bytes]]:
        """Properties associated with an item."""
        part = self.parts.get(b"iprp")
        listed = None if part is None else find(self.data, b"ipco", part.start, part.stop)
        if part is None or listed is None:
            return []
        contents = [
            (entry.kind, self.data[entry.start : entry.stop])
            for entry in walk(self.data, listed.start, listed.stop)
        ]
        numbers: list[int] = []
        for entry in walk(self.data, part.start, part.stop):
            if entry.kind == b"ipma":
                numbers += self._associated(entry, item)
        return [contents[number - 1] for number in numbers if 0 < number <= len(contents)]

    def _associated(self, ipma: Box, item: int) -> list[int]:
        version, body = _full(self.data, ipma)
        wide, step = 4 if version else 2, 2 if self.data[ipma.start + 3] & 1 else 1
        mask = (1 << 8 * step - 1) - 1  # the highest bit says whether it is essential
        numbers = _Numbers(body)
        for _ in range(numbers.take(4)):
            owner = numbers.take(wide)
            associated = [numbers.take(step) & mask for _ in range(numbers.take(1))]
            if owner == item:
                return associated
        return []


def _full(data: bytes, part: Box) -> tuple[int, bytes]:
    """Version and content of a "full" box; content behind version and flags."""
    return data[part.start], data[part.start + 4 : part.stop]


def add_items(
    data: bytes, properties: list[tuple[bytes, bytes]], exif: bytes | None, xmp: bytes | None
) -> bytes:
    """A file as libavif writes it, with more properties of its primary picture, and metadata.

    data: the file; its lists are of version 0 with 32-bit offsets and no base offsets.
    """
    items = Items(data)
    blocks = [(b"Exif", b"", exif_body(exif))] if exif else []
    blocks += [(b"mime", _MIME + b"\0", xmp)] if xmp else []
    first, whole = max(items.kinds) + 1, items.whole
    kinds = [part.kind for part in walk(data, whole.start + 4, whole.stop)]
    parts = {b"iprp": _more_properties(items, properties)}
    if blocks:
        kinds += [] if b"iref" in kinds else [b"iref"]
        numbered = list(enumerate(blocks, first))
        body = items.full(b"iinf")[1]
        count = struct.pack(">H", int.from_bytes(body[:2], "big") + len(blocks))
        more = [
            box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", number, 0, kind), b"\0", content)
            for number, (kind, content, _) in numbered
        ]
        parts[b"iinf"] = box(b"iinf", bytes(4), count, body[2:], *more)
        links = [box(b"cdsc", struct.pack(">HHH", n, 1, items.primary)) for n, _ in numbered]
        parts[b"iref"] = box(b"iref", bytes(4), items.full(b"iref")[1], *links)

    def meta(shift: int, end: int) -> bytes:
        """The `meta` box: old content moved by so many bytes, the new beginning at `end`."""
        parts[b"iloc"] = _locations(items, shift, end, [len(block) for *_, block in blocks], first)
        old = {kind: data[part.start - 8 : part.stop] for kind, part in items.parts.items()}
        return box(b"meta", bytes(4), *(parts.get(kind) or old[kind] for kind in kinds))

    size = len(meta(0, 0))
    head, tail = data[: whole.start - 8], data[whole.stop :]
    body = meta(size - (whole.stop - whole.start + 8), len(head) + size + len(tail) + 8)
    content = box(b"mdat", *(block for *_, block in blocks)) if blocks else b""
    return head + body + tail + content


def _more_properties(items: Items, properties: list[tuple[bytes, bytes]]) -> bytes:
    data, part = items.data, items.parts[b"iprp"]
    listed = find(data, b"ipco", part.start, part.stop)
    linked = find(data, b"ipma", part.start, part.stop)
    assert listed is not None
    assert linked is not None
    before = sum(1 for _ in walk(data, listed.start, listed.stop))
    added = (box(kind, body) for kind, body in properties)
    ipco = box(b"ipco", data[listed.start : listed.stop], *added)
    body = bytearray(data[linked.start + 8 : linked.stop])
    at = 0
    while int.from_bytes(body[at : at + 2], "big") != items.primary:
        at += 3 + body[at + 2]
    numbers = bytes(
        number | (_ESSENTIAL if kind in _TRANSFORMS else 0)
        for number, (kind, _) in enumerate(properties, before + 1)
    )
    end = at + 3 + body[at + 2]
    body[end:end] = numbers
    body[at + 2] += len(numbers)
    return box(b"iprp", ipco, box(b"ipma", data[linked.start : linked.start + 8], bytes(body)))


def _locations(items: Items, shift: int, end: int, lengths: list[int], first: int) -> bytes:
    """The box of places, with the old ones moved and the new ones added."""
    version, body = items.full(b"iloc")
    if version or body[:2] != b"\x44\0":
        raise ValueError("its places are stored in an unusual way")
    (count,) = struct.unpack_from(">H", body, 2)
    entries, at = b"", 4
    for _ in range(count):
        entries, at = entries + body[at : at + 6], at + 6
        for _ in range(int.from_bytes(body[at - 2 : at], "big")):
            start, length = struct.unpack_from(">II", body, at)
            entries, at = entries + struct.pack(">II", start + shift, length), at + 8
    for number, length in enumerate(lengths, first):
        entries += struct.pack(">HHHII", number, 0, 1, end, length)
        end += length
    total = struct.pack(">H", count + len(lengths))
    return box(b"iloc", bytes(4), body[:2], total, entries)
