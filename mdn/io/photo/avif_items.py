"""What an AVIF holds beside its pixels, read and added: items and properties of its `meta` box.

A picture is an item, and so is each block of metadata; properties such as colours and rotation are
listed once and associated with items by number (ISO/IEC 23008-12, HEIF; ISO 14496-12, 8.11).
"""

import struct
from dataclasses import dataclass, field

from mdn.io.photo.boxes import Box, box, exif_body, exif_of, find, walk
from mdn.io.xmp import DEPTH, FILM, GAIN_MAP

AUXILIARY = "auxiliary picture"

_MIME = b"application/rdf+xml"
_MAX_ITEMS = 2**12
_TRANSFORMS, _ESSENTIAL = (b"clap", b"irot", b"imir"), 0x80  # readers must know these


@dataclass
class Items:
    """The primary picture of a file, and what belongs to it."""

    # of the primary picture, as (letters, content), in the order of association
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    # exif, xmp: metadata, or None
    exif: bytes | None = None
    xmp: bytes | None = None
    others: int = 0  # pictures that are no part of the primary one and are not hidden

    def last(self, kind: bytes) -> bytes | None:
        """The content of the last property of a kind, or None."""
        return next((body for name, body in reversed(self.properties) if name == kind), None)


class _Meta:
    """The `meta` box of a file, unpacked as far as is needed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        whole = find(data, b"meta")
        if whole is None:
            raise ValueError("no description of its content")
        self.whole = whole
        self.parts = {part.kind: part for part in walk(data, whole.start + 4, whole.stop)}
        self.primary = self._primary()
        self.kinds = self._kinds()
        self.extents = self._extents()
        self.references = self._references()

    def _full(self, kind: bytes) -> tuple[int, bytes]:
        """Version and content of a part; content behind version and flags."""
        part = self.parts.get(kind)
        if part is None:
            return 0, b""
        return self.data[part.start], self.data[part.start + 4 : part.stop]

    def _primary(self) -> int:
        version, body = self._full(b"pitm")
        return int.from_bytes(body[: 4 if version else 2], "big")

    def _kinds(self) -> dict[int, tuple[bytes, bytes, bool]]:
        """Kind, content type and whether it is hidden, of each item."""
        version, body = self._full(b"iinf")
        part = self.parts.get(b"iinf")
        kinds: dict[int, tuple[bytes, bytes, bool]] = {}
        if part is None:
            return kinds
        for entry in walk(self.data, part.start + 4 + (4 if version else 2), part.stop):
            version, flags = self.data[entry.start], self.data[entry.start + 3]
            body = self.data[entry.start + 4 : entry.stop]
            wide = 4 if version == 3 else 2
            kind, rest = body[wide + 2 : wide + 6], body[wide + 6 :].split(b"\0")
            content = rest[1] if kind == b"mime" and len(rest) > 1 else b""
            kinds[int.from_bytes(body[:wide], "big")] = kind, content, bool(flags & 1)
            if len(kinds) > _MAX_ITEMS:
                raise ValueError("far too many items")
        return kinds

    def _extents(self) -> dict[int, bytes]:
        """The content of each item that is metadata, joined."""
        version, body = self._full(b"iloc")
        extents: dict[int, bytes] = {}
        if not body:
            return extents
        sizes = [body[0] >> 4, body[0] & 15, body[1] >> 4, body[1] & 15 if version else 0]
        wide = 4 if version == 2 else 2
        at = 2

        def take(size: int) -> int:
            nonlocal at
            at += size
            if at > len(body):
                raise ValueError("a list is cut short")
            return int.from_bytes(body[at - size : at], "big")

        for _ in range(take(wide)):
            item = take(wide)
            within = take(2) & 15 if version else 0  # 0: in the file, 1: in the `idat` box
            take(2)
            base, content = take(sizes[2]), b""
            metadata = self.kinds.get(item, (b"",))[0] in (b"Exif", b"mime")
            for _ in range(take(2)):
                take(sizes[3])
                start, length = base + take(sizes[0]), take(sizes[1])
                start += self.parts[b"idat"].start if within == 1 and b"idat" in self.parts else 0
                if metadata:
                    content += self.data[start : start + length]
            extents[item] = content
        return extents

    def _references(self) -> list[tuple[bytes, int, list[int]]]:
        """Kind, from which item, to which."""
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
        every = [
            (entry.kind, self.data[entry.start : entry.stop])
            for entry in walk(self.data, listed.start, listed.stop)
        ]
        numbers: list[int] = []
        for entry in walk(self.data, part.start, part.stop):
            if entry.kind == b"ipma":
                numbers += self._associated(entry, item)
        return [every[number - 1] for number in numbers if 0 < number <= len(every)]

    def _associated(self, ipma: Box, item: int) -> list[int]:
        version, flags = self.data[ipma.start], self.data[ipma.start + 3]
        wide, step = (4 if version else 2), (2 if flags & 1 else 1)
        at = ipma.start + 8
        for _ in range(int.from_bytes(self.data[ipma.start + 4 : at], "big")):
            if at + wide + 1 > ipma.stop:
                raise ValueError("a list is cut short")
            owner, count = int.from_bytes(self.data[at : at + wide], "big"), self.data[at + wide]
            at += wide + 1
            if owner == item:
                mask = 0x7FFF if step == 2 else 0x7F  # the highest bit says whether it is essential
                return [
                    int.from_bytes(self.data[k : k + step], "big") & mask
                    for k in range(at, at + count * step, step)
                ]
            at += count * step
        return []


def read_items(data: bytes) -> Items:
    """The primary picture's properties and metadata. Raises ValueError: the file is damaged."""
    meta = _Meta(data)
    items = Items(meta.properties_of(meta.primary))
    parts = {
        item_number for _, _, to in meta.references for item_number in to
    }  # tiles of a grid, and such
    parts |= {source for kind, source, _ in meta.references if kind in (b"auxl", b"thmb")}
    for item, (kind, content, hidden) in meta.kinds.items():
        if kind == b"Exif":
            items.exif = items.exif or exif_of(meta.extents.get(item, b""))
        elif kind == b"mime" and content == _MIME:
            items.xmp = items.xmp or meta.extents.get(item) or None
        elif kind in (b"av01", b"grid") and item != meta.primary:
            items.others += not hidden and item not in parts
    return items


def parts_beside(data: bytes) -> tuple[str, ...]:
    """What an AVIF or HEIC holds beside its picture: gain map, depth map, film, other pictures.

    A gain map is an input of a `tmap` item (ISO 21496-1 in HEIF), or an auxiliary picture; Google's
    motion photos have their film in a box `mpvd`. Alpha is part of the picture.
    """
    meta = _Meta(data)
    parts = [GAIN_MAP] if any(kind == b"tmap" for kind, *_ in meta.kinds.values()) else []
    for kind, source, owners in meta.references:
        if kind == b"auxl" and meta.primary in owners:
            for name, body in meta.properties_of(source):
                if name == b"auxC":
                    parts += _auxiliary(body[4:].split(b"\0")[0].decode("latin-1").lower())
    if find(data, b"mpvd") is not None:
        parts.append(FILM)
    return tuple(dict.fromkeys(parts))


def _auxiliary(urn: str) -> list[str]:
    """What an auxiliary picture is, by its kind (ISO 23008-12, 6.6.2.1.1; Apple's own)."""
    if urn in ("urn:mpeg:hevc:2015:auxid:1", "urn:mpeg:mpegb:cicp:systems:auxiliary:alpha"):
        return []
    if urn in ("urn:mpeg:hevc:2015:auxid:2", "urn:mpeg:mpegb:cicp:systems:auxiliary:depth"):
        return [DEPTH]
    return [GAIN_MAP if "hdrgainmap" in urn else AUXILIARY]


def add_items(
    data: bytes, properties: list[tuple[bytes, bytes]], exif: bytes | None, xmp: bytes | None
) -> bytes:
    """A file as libavif writes it, with more properties of its primary picture, and metadata.

    data: the file; its lists are of version 0 with 32-bit offsets and no base offsets.
    """
    meta = _Meta(data)
    blocks = [(b"Exif", b"", exif_body(exif))] if exif else []
    blocks += [(b"mime", _MIME + b"\0", xmp)] if xmp else []
    first = max(meta.kinds) + 1
    parts = {
        b"iinf": _more_kinds(meta, blocks, first),
        b"iref": _more_references(meta, len(blocks), first),
        b"iprp": _more_properties(meta, properties),
    }
    head = data[: meta.whole.start - 8]
    tail = data[meta.whole.stop :]
    if not blocks:
        del parts[b"iinf"], parts[b"iref"]
    kinds = [part.kind for part in walk(data, meta.whole.start + 4, meta.whole.stop)]
    order = kinds if b"iref" in kinds or not blocks else [*kinds, b"iref"]

    def laid_out(locations: bytes) -> bytes:
        boxes_by_kind = {b"iloc": box(b"iloc", locations)} | parts
        whole = [
            boxes_by_kind.get(kind) or data[meta.parts[kind].start - 8 : meta.parts[kind].stop]
            for kind in order
        ]
        return box(b"meta", bytes(4), *whole)

    size = len(laid_out(_locations(meta, 0, 0, [b for *_, b in blocks], first)))
    shift = size - (meta.whole.stop - meta.whole.start + 8)
    end = len(head) + size + len(tail) + 8  # where the new data will begin
    body = laid_out(_locations(meta, shift, end, [b for *_, b in blocks], first))
    more = box(b"mdat", *(block for *_, block in blocks)) if blocks else b""
    return head + body + tail + more


def _more_kinds(meta: _Meta, blocks: list[tuple[bytes, bytes, bytes]], first: int) -> bytes:
    _, body = meta._full(b"iinf")
    count = int.from_bytes(body[:2], "big") + len(blocks)
    entries = [
        box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", first + i, 0, kind), b"\0", content)
        for i, (kind, content, _) in enumerate(blocks)
    ]
    return box(b"iinf", bytes(4), struct.pack(">H", count), body[2:], *entries)


def _more_references(meta: _Meta, count: int, first: int) -> bytes:
    _, body = meta._full(b"iref")
    added = [box(b"cdsc", struct.pack(">HHH", first + i, 1, meta.primary)) for i in range(count)]
    return box(b"iref", bytes(4), body, *added)


def _more_properties(meta: _Meta, properties: list[tuple[bytes, bytes]]) -> bytes:
    data, part = meta.data, meta.parts[b"iprp"]
    listed = find(data, b"ipco", part.start, part.stop)
    linked = find(data, b"ipma", part.start, part.stop)
    assert listed is not None
    assert linked is not None
    before = sum(1 for _ in walk(data, listed.start, listed.stop))
    ipco = box(
        b"ipco", data[listed.start : listed.stop], *(box(kind, body) for kind, body in properties)
    )
    body = bytearray(data[linked.start + 8 : linked.stop])
    at = 0
    while int.from_bytes(body[at : at + 2], "big") != meta.primary:
        at += 3 + body[at + 2]
    numbers = bytes(
        number | (_ESSENTIAL if kind in _TRANSFORMS else 0)
        for number, (kind, _) in enumerate(properties, before + 1)
    )
    end = at + 3 + body[at + 2]
    body[end:end] = numbers
    body[at + 2] += len(numbers)
    return box(b"iprp", ipco, box(b"ipma", data[linked.start : linked.start + 8], bytes(body)))


def _locations(meta: _Meta, shift: int, end: int, blocks: list[bytes], first: int) -> bytes:
    """The list of places, with the old ones moved and the new ones added."""
    version, body = meta._full(b"iloc")
    if version or body[:2] != b"\x44\0":
        raise ValueError("its places are stored in an unusual way")
    (count,) = struct.unpack_from(">H", body, 2)
    entries, at = b"", 4
    for _ in range(count):
        item, reference, extents = struct.unpack_from(">HHH", body, at)
        entries += struct.pack(">HHH", item, reference, extents)
        at += 6
        for _ in range(extents):
            start, length = struct.unpack_from(">II", body, at)
            entries += struct.pack(">II", start + shift, length)
            at += 8
    for number, block in enumerate(blocks):
        entries += struct.pack(">HHHII", first + number, 0, 1, end, len(block))
        end += len(block)
    return bytes(4) + body[:2] + struct.pack(">H", count + len(blocks)) + entries
