"""What an XMP packet promises of further parts of its file, and the packet without such promises.

Phones put a gain map (Ultra HDR), a film (motion photo) or a depth map behind the picture, and XMP
says where. mdn hands on none of them, so their entries go; every other byte of the packet stays.

Sources: Adobe, Gain Map Specification 1.0; Google, Ultra HDR Image Format 1.1, Motion Photo 1.0 and
Dynamic Depth 1.0; Adobe, XMP Specification part 3, 1.1.3.1 (extended XMP).
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.parsers import expat

GAIN_MAP, FILM, DEPTH = "gain map", "film of the motion photo", "depth map"

# Namespaces all of whose entries are about a part, and the part; None: `Semantic` says which.
_NAMESPACES: dict[str, str | None] = {
    "http://ns.adobe.com/hdr-gain-map/": GAIN_MAP,
    "http://ns.apple.com/HDRGainMap/": GAIN_MAP,
    "http://ns.google.com/photos/dd/": DEPTH,
    "http://ns.google.com/photos/1.0/container/": None,  # Item's begins in the same way
}
_FILM_NAMES = ("MotionPhoto", "MicroVideo")  # of GCamera, and of makers' own namespaces
_SEMANTICS = {"GainMap": GAIN_MAP, "MotionPhoto": FILM, "Depth": DEPTH, "DepthMap": DEPTH}

# What all packets hold that promise anything.
_SIGNS = (*(key.encode() for key in _NAMESPACES), *(name.encode() for name in _FILM_NAMES))

_TAG = re.compile(rb"<[^\s/>]+(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_END_TAG = re.compile(rb"</[^>]*>")
_ATTRIBUTE = re.compile(rb"\s+([^\s=/>]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_SPACE_BEFORE = re.compile(rb"(?:\r?\n)?[ \t]*\Z")

EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"  # begins each segment of extended XMP
_GUID, _HEAD = 32, 32 + 4 + 4  # identifier; behind it the length of the whole, and the place
_STEP = 65000  # bytes of extended XMP in one segment
_EXTENDED = re.compile(
    rb"\s+[\w.-]+:HasExtendedXMP\s*=\s*(?:\"[^\"]*\"|'[^']*')"
    rb"|<([\w.-]+:HasExtendedXMP)\s*>[^<]*</\1\s*>"
)


@dataclass(frozen=True)
class Promises:
    """A packet without its promises, and the parts that it promised."""

    packet: bytes
    parts: frozenset[str] = frozenset()  # of GAIN_MAP, FILM and DEPTH


def without_promises(packet: bytes) -> Promises:
    """Take out of a packet what it says of further parts of its file.

    packet: UTF-8. One that is no XML, or has a document type, comes back as it is.
    """
    if not any(sign in packet for sign in _SIGNS):
        return Promises(packet)
    finder = _Finder(packet)
    try:
        finder.parser.Parse(packet.rstrip(b"\0"), True)
    except (expat.ExpatError, _OddError):
        return Promises(packet)
    rest, at = [], 0
    for start, stop in sorted(finder.spans):
        rest.append(packet[at:start])
        at = max(at, stop)
    return Promises(b"".join([*rest, packet[at:]]), frozenset(finder.parts))


def without_extension(packet: bytes) -> bytes:
    """A packet that does not say that there is extended XMP."""
    return _EXTENDED.sub(b"", packet)


def extended_without_promises(
    packet: bytes | None, segments: Iterable[bytes]
) -> tuple[bytes | None, list[bytes], frozenset[str]]:
    """As `without_promises`, of the extended XMP of a JPEG.

    The parts of extended XMP are named by a checksum of the whole, which the packet knows too.

    packet: the packet proper. segments: its further ones, as stored, EXTENSION first.
    Returns both, the same where nothing is promised, and what was promised.
    """
    segments = list(segments)
    wholes: dict[bytes, list[tuple[int, bytes]]] = {}
    for body in segments:
        head = body[len(EXTENSION) :]
        place = int.from_bytes(head[_GUID + 4 : _HEAD], "big")
        wholes.setdefault(head[:_GUID], []).append((place, head[_HEAD:]))
    parts: frozenset[str] = frozenset()
    for guid, pieces in wholes.items():
        whole = b"".join(piece for _, piece in sorted(pieces))
        result = without_promises(whole)
        if result.packet == whole:
            continue
        parts |= result.parts
        name = hashlib.md5(result.packet, usedforsecurity=False).hexdigest().upper().encode()
        packet = packet and packet.replace(guid, name)
        segments = [body for body in segments if not body.startswith(EXTENSION + guid)]
        segments += _segments(name, result.packet)
    return packet, segments, parts


def _segments(guid: bytes, whole: bytes) -> list[bytes]:
    size = len(whole).to_bytes(4, "big")
    return [
        EXTENSION + guid + size + at.to_bytes(4, "big") + whole[at : at + _STEP]
        for at in range(0, len(whole), _STEP)
    ]


class _OddError(Exception):
    """The packet is none that this module edits."""


@dataclass
class _Finder:
    """Where in a packet the promises stand, as (first byte, the one behind the last)."""

    packet: bytes
    spans: list[tuple[int, int]] = field(default_factory=list)
    parts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.ordered_attributes = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._odd
        self._scopes: list[dict[str, str]] = [{}]  # prefix -> namespace, for each open element
        self._cut_from: int | None = None  # where an element that goes begins
        self._cut_depth = 0

    def _odd(self, *_: object) -> None:
        raise _OddError

    def _start(self, name: str, attributes: list[str]) -> None:
        pairs = dict(zip(attributes[::2], attributes[1::2], strict=True))
        scope = self._scopes[-1]
        declared = {key[6:]: value for key, value in pairs.items() if key.startswith("xmlns:")}
        self._scopes.append(scope | declared if declared else scope)
        for key, value in pairs.items():
            if key.split(":")[-1] == "Semantic":
                self.parts.update({_SEMANTICS[value]} if value in _SEMANTICS else ())
        at = self.parser.CurrentByteIndex
        if self._cut_from is not None:
            return
        if self._promises(name):
            self._cut_from, self._cut_depth = at, len(self._scopes)
            return
        tag = _TAG.match(self.packet, at)
        if tag is None:  # another encoding than UTF-8
            raise _OddError
        for match in _ATTRIBUTE.finditer(self.packet, at, tag.end()):
            key = match[1].decode()
            if key.startswith("xmlns:"):  # of a namespace that goes with all its entries
                if self._of_part(pairs[key]):
                    self.spans.append(match.span())
            elif self._promises(key):
                self.spans.append(match.span())

    def _end(self, name: str) -> None:
        if self._cut_from is not None and len(self._scopes) == self._cut_depth:
            at = self.parser.CurrentByteIndex
            end = _END_TAG.match(self.packet, at) or _TAG.match(self.packet, at)
            if end is None:
                raise _OddError
            blank = _SPACE_BEFORE.search(self.packet, max(0, self._cut_from - 200), self._cut_from)
            self.spans.append((blank.start() if blank else self._cut_from, end.end()))
            self._cut_from = None
        self._scopes.pop()

    def _promises(self, name: str) -> bool:
        """Whether an element or attribute is about a part; notes which."""
        prefix, _, local = name.rpartition(":")
        if prefix and local.startswith(_FILM_NAMES):
            self.parts.add(FILM)
            return True
        return self._of_part(self._scopes[-1].get(prefix, ""))

    def _of_part(self, namespace: str) -> bool:
        for start, part in _NAMESPACES.items():
            if namespace.startswith(start):
                self.parts.update({part} if part else ())
                return True
        return False
