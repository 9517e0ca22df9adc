"""JPEG: baseline and progressive, gray and RGB, 8 bits (ITU-T T.81).

A JPEG that was read is written as it was coded: its scans (baseline or progressive) and the
resolution of its colours.

libjpeg forgives: where data is missing it invents gray, and says so only through warnings that no
Python binding passes on. So the segments are walked here first, and the decoded picture is tested
for dependence on bytes that a complete file would never reach.
"""

import io
import re
import struct
import zlib
from collections.abc import Set
from dataclasses import dataclass, field

import numpy as np
from PIL import JpegImagePlugin

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io.base import (
    CMYK_WAY,
    DAMAGED,
    Format,
    check_size,
    pillow_encoded,
    split_alpha,
    too_little,
    with_alpha,
)
from mdn.io.exif import Entry, parse
from mdn.io.xmp import DEPTH, EXTENSION, FILM, GAIN_MAP, extended_without_promises, without_promises

MAX_BLOCK = 65533  # bytes in one segment, its length field excluded

_EXIF = b"Exif\0\0"
_MULTI_PICTURE = b"MPF\0"
_MP_ENTRIES, _MP_ENTRY = 0xB002, 16  # the tag that lists the pictures, and bytes for each
_MP_VIEWS = (0x020001, 0x020002, 0x020003)  # of a panorama, of a stereo pair, from several angles
_COM, _APP1, _APP2, _APP13, _SOS, _EOI = 0xFE, 0xE1, 0xE2, 0xED, 0xDA, 0xD9
# markers whose segments a JPEG keeps as they are, and no other format does
KEPT_MARKERS = {_COM: "JPEG comment", _APP13: "IPTC", _APP1: "extended XMP"}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ARITHMETIC = frozenset({0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # neither stuffing nor a restart

# A real progressive file has about ten scans. Thousands of nearly empty ones keep a decoder busy
# for minutes (the attack that libjpeg-turbo's -maxscans answers).
_MAX_SCANS = 200
# Below this quality the eye cannot tell 4:2:0 from 4:4:4, and files are a third smaller.
_FULL_CHROMA_QUALITY = 90
FULL, HALF, OTHER_SAMPLING = 0, 2, -1  # Pillow's 4:4:4 and 4:2:0, and what it cannot write
# Entropy-coded data without markers. A complete picture never reads it.
_JUNK = bytes(range(1, 255)) * 2


@dataclass(frozen=True)
class Coding:
    """How a JPEG is coded: in scans or at once, and Pillow's number of its colours' resolution."""

    progressive: bool
    sampling: int


@dataclass
class Segments:
    """The outline of a JPEG."""

    # frame: the marker of its header, which says the others
    frame: int = 0
    height: int = 0
    width: int = 0
    components: int = 0
    scans: int = 0
    end: int = 0  # of its picture
    kept: list[tuple[int, bytes]] = field(default_factory=list)  # worth handing on
    pictures: int = 0  # that the file's index lists
    views: int = 0  # how many of them show one scene


FURTHER, OTHER = "further pictures in the file", "data behind the picture"

_PICTURE = b"\xff\xd8\xff"
# Adobe's, ISO 21496-1's and Apple's way to say that a picture is a gain map.
_GAIN_MAPS = (
    b"ns.adobe.com/hdr-gain-map/",
    b"urn:iso:std:iso:ts:21496:-1",
    b"apple.com/HDRGainMap",
)
_FILM = re.compile(rb"\0\0\0[\x08-\x40]ftyp|MotionPhoto_Data")  # MP4 and QuickTime; Samsung's mark
_PADDING = b"\0\xff \r\n\t"


def decode(data: bytes, name: str) -> Image:
    """Read the first picture of a JPEG, as stored (not yet turned upright)."""
    outline = walk(data, name)
    _check(outline, len(data), name)
    image, array = _pixels(data)
    intact = zlib.crc32(array.data)
    del array  # one decoded picture in memory at a time
    longer, array = _pixels(data[: outline.end] + _JUNK + data[outline.end :])
    if zlib.crc32(array.data) != intact:
        raise FileError(name, "is a JPEG that ends before its picture does", DAMAGED)
    del longer
    pixels, _ = split_alpha(array.reshape(1, outline.height, outline.width, -1))
    return Image(pixels, None, _metadata(image, outline, data[outline.end + 2 :]), name, "jpeg")


def encode(image: Image, quality: int) -> bytes:
    """Write a JPEG of the given quality (1 to 100).

    Coded as the JPEG that the image was read from; else baseline, 4:4:4 from quality 90 on.
    """
    meta = image.meta
    usual = Coding(False, FULL if quality >= _FULL_CHROMA_QUALITY else HALF)
    coding = meta.private.get("jpeg_coding", usual)
    further = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
        for marker, body in meta.private.get("jpeg", ())
    )
    options = {
        "quality": quality,
        "subsampling": usual.sampling if coding.sampling == OTHER_SAMPLING else coding.sampling,
        "progressive": coding.progressive,
        "icc_profile": meta.icc,
        "exif": _EXIF + meta.exif if meta.exif else None,
        "xmp": meta.xmp,
        "dpi": meta.dpi,
        "extra": further or None,
    }
    return pillow_encoded(with_alpha(image), ".jpg", options)


def walk(data: bytes, name: str) -> Segments:
    """Follow the segments of a JPEG from its start to its end-of-image marker.

    Raises FileError: there is no end, or no frame header before the first scan.
    """
    outline, at = Segments(), 2
    while (marker_at := _MARKER.search(data, at)) is not None:
        marker, at = marker_at[1][0], marker_at.end()
        if marker == _EOI:
            outline.end = marker_at.start()
            break
        if marker in (0x01, 0xD8):  # these two carry no length
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        _note(outline, marker, data[at + 2 : at + max(length, 2)])
        at += length
    if not outline.end or not outline.scans or not outline.frame:
        raise FileError(name, "is a JPEG that ends before its picture does", DAMAGED)
    return outline


def _note(outline: Segments, marker: int, body: bytes) -> None:
    if marker in _FRAMES and not outline.frame and len(body) >= 6:
        outline.frame = marker
        _, outline.height, outline.width, outline.components = struct.unpack_from(">BHHB", body)
    elif marker == _SOS:
        outline.scans += 1
    elif marker in (_COM, _APP13) or (marker == _APP1 and body.startswith(EXTENSION)):
        outline.kept.append((marker, body))
    elif marker == _APP2 and body.startswith(_MULTI_PICTURE):
        kinds = _kinds(body.removeprefix(_MULTI_PICTURE))
        outline.pictures = max(outline.pictures, len(kinds))
        outline.views = max(outline.views, sum(kind in _MP_VIEWS for kind in kinds))


def _kinds(index: bytes) -> list[int]:
    """The kinds of the pictures that a multi-picture file lists (CIPA DC-007, table 4): MPO.

    Previews and gain maps, which phones put behind the picture, are no views of a scene.
    """
    layout, directory = parse(index)
    entries = directory.get(_MP_ENTRIES)
    if not isinstance(entries, Entry):
        return []
    numbers = np.frombuffer(entries.value[: len(entries.value) // 4 * 4], layout.order + "u4")
    return [int(number) & 0xFFFFFF for number in numbers[:: _MP_ENTRY // 4]]


def _check(outline: Segments, size: int, name: str) -> None:
    check_size(name, outline.height, outline.width, outline.components)
    if outline.views > 1:
        problem = f"is an MPO of {outline.views} views of one scene"
        raise FileError(name, problem, "save the one you want as JPEG")
    if outline.components == 4:
        raise FileError(name, "is a CMYK JPEG, which mdn does not read", CMYK_WAY)
    if outline.components not in (1, 3):
        raise FileError(name, f"is a JPEG of {outline.components} channels", DAMAGED)
    if outline.scans > _MAX_SCANS:
        raise FileError(name, f"is a JPEG of {outline.scans} scans", "save it again")
    # A block of 8x8 pixels takes at least one bit in Huffman coding, a fraction in arithmetic.
    pixels_per_byte = 8 * 64 * (64 if outline.frame in _ARITHMETIC else 1)
    if outline.height * outline.width > size * pixels_per_byte:
        raise too_little(name, outline.height, outline.width)


def _pixels(data: bytes) -> tuple[JpegImagePlugin.JpegImageFile, np.ndarray]:
    # The class itself, not Image.open: that one refuses pictures of 180 megapixels through a global
    # setting, and takes a JPEG with a preview behind it for a film.
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    return image, np.asarray(image)


def _metadata(image: JpegImagePlugin.JpegImageFile, outline: Segments, tail: bytes) -> Metadata:
    """tail: what follows the picture, which is left out, and so is what XMP says of it."""
    info = image.info
    exif = info.get("exif", b"").removeprefix(_EXIF)
    xmp, segments, promised = info.get("xmp"), outline.kept, frozenset[str]()
    extended = [body for marker, body in segments if marker == _APP1]
    if extended:
        xmp, extended, promised = extended_without_promises(xmp, extended)
        segments = [segment for segment in segments if segment[0] != _APP1]
        segments += [(_APP1, body) for body in extended]
    if xmp:
        promises = without_promises(xmp)
        xmp, promised = promises.packet, promised | promises.parts
    coding = Coding(bool(info.get("progressive")), JpegImagePlugin.get_sampling(image))
    private: dict[str, object] = {"jpeg_coding": coding}
    if segments:
        private["jpeg"] = tuple(segments)
    if beside := parts_behind(tail, outline.pictures, promised):
        private["dropped"] = beside
    dpi = info.get("dpi") if info.get("jfif_unit") in (1, 2) else None
    return Metadata(info.get("icc_profile"), exif or None, xmp, dpi, private)


def parts_behind(tail: bytes, listed: int, promised: Set[str]) -> tuple[str, ...]:
    """The parts of a file that lie behind its picture, by what they are.

    Args:
        tail: all bytes behind the end of the picture.
        listed: how many pictures the file's index (MPF) lists, the first included; 0 without one.
        promised: what XMP says of parts; see `mdn.io.xmp`.
    """
    if not tail.strip(_PADDING):
        return ()
    pictures = _PICTURE in tail
    gain_map = any(mark in tail for mark in _GAIN_MAPS) or (GAIN_MAP in promised and pictures)
    depth = DEPTH in promised and pictures
    film = _FILM.search(tail) is not None or (FILM in promised and not pictures)
    here = {GAIN_MAP: gain_map, DEPTH: depth, FILM: film}
    parts = [part for part, there in here.items() if there]
    if listed - 1 > gain_map + depth or (pictures and not (gain_map or depth or film)):
        parts.append(FURTHER)
    return tuple(parts or [OTHER])


FORMAT = Format(
    name="jpeg",
    suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
    recognises=lambda data: data.startswith(b"\xff\xd8\xff"),
    decode=decode,
    encode=encode,
    depths=("uint8",),
    alpha=False,
    gray_alpha=False,
    holds=frozenset({"icc", "exif", "xmp", "dpi"}),
    max_side=65500,  # libjpeg's own limit
    max_block=MAX_BLOCK,
    lossy=lambda own: True,
)
