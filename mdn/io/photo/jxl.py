"""JPEG XL, lossless and lossy, 8 to 16 bits and 32-bit floats (ISO/IEC 18181).

Pixels go through libjxl. Its binding for Python knows no colours but sRGB and no metadata: those
are read and written here, from the codestream's header and the boxes of the container.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io.base import (
    CMYK_WAY,
    Format,
    check_size,
    rescaled,
    split_alpha,
    too_little,
    with_alpha,
)
from mdn.io.colour import BT709, LINEAR, SRGB, Cicp
from mdn.io.exif import set_upright
from mdn.io.photo import boxes
from mdn.io.photo.jxl_header import (
    ALPHA,
    BLACK,
    MAGIC,
    JxlHeader,
    can_name,
    read_header,
    recoloured,
)
from mdn.io.xmp import GAIN_MAP

_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_SIGNATURE, _TYPE = b"\r\n\x87\n", b"jxl \0\0\0\0jxl "
_LOSSY_SRGB = 0.09  # of distance, for each step of quality below 100
# A group of 256 x 256 pixels takes at least a byte; fewer cannot hold the picture.
_MAX_PIXELS_PER_BYTE = 2**16
_MAX_INFLATED = 2**25


@dataclass
class _Container:
    """What a file holds: the codestream joined, its level's box, and the metadata."""

    codestream: bytes
    level: bytes = b""
    exif: bytes | None = None
    xmp: bytes | None = None
    from_jpeg: bool = False
    gain_map: bool = False


def decode(data: bytes, name: str) -> Image:
    """Read a still JPEG XL. The picture comes upright, since its own header says how."""
    container = _container(data)
    header = read_header(container.codestream)
    _check(header, len(data), name)
    array = imagecodecs.jpegxl_decode(data)
    array = array[..., None] if array.ndim == 2 else array
    dropped = [GAIN_MAP] if container.gain_map else []
    if len(header.extra) - (ALPHA in header.extra):
        dropped.append("further channels")
        array = array[..., : header.colours + (ALPHA in header.extra)]
    if array.dtype.kind == "u" and header.bits < 8 * array.dtype.itemsize:
        array = rescaled(array, 2**header.bits - 1, np.iinfo(array.dtype).max)
    icc = _profile(data) if header.colour is None else None
    if header.colour is None and icc is None:
        dropped.append("ICC profile (pip install 'mdn[jxl]' reads it)")
    pixels, alpha = split_alpha(array[None])
    exif, xmp = set_upright(container.exif, container.xmp, header.orientation)
    private: dict[str, Any] = {} if header.xyb or container.from_jpeg else {"jxl": "lossless"}
    if dropped:
        private["dropped"] = tuple(dropped)
    bits = header.bits if 8 < header.bits < 16 else None
    colour = header.colour
    cicp = None if colour in (None, _usual(header.floating)) else colour
    meta = Metadata(icc, exif, xmp, None, private, cicp, bits)
    return Image(pixels, alpha, meta, name, "jxl")


def encode(image: Image, quality: int) -> bytes:
    """Write a JPEG XL: lossy of that quality if 8-bit sRGB and not from a lossless file.

    Others are lossless: the encoder at hand codes lossily by what sRGB's colours look like.
    """
    meta, array = image.meta, np.ascontiguousarray(with_alpha(image))
    depth = array.dtype.itemsize * 8
    if array.dtype == np.uint16 and meta.bits:
        array, depth = rescaled(array, 65535, 2**meta.bits - 1), meta.bits
    usual = _usual(array.dtype.kind == "f")
    colour = Cicp(*meta.cicp) if meta.cicp else usual
    colour = colour if can_name(colour) else usual
    plain = colour.plain and not meta.icc and array.dtype == np.uint8
    if plain and meta.private.get("jxl") != "lossless" and quality < 100:
        distance = max(0.1, (100 - quality) * _LOSSY_SRGB + 0.1)
        data = imagecodecs.jpegxl_encode(array, lossless=False, distance=distance)
        container = _container(bytes(data))
    else:
        options: dict[str, Any] = {} if array.dtype.kind == "f" else {"bitspersample": depth}
        data = imagecodecs.jpegxl_encode(array, lossless=True, effort=5, **options)
        container = _container(bytes(data))
        container.codestream = recoloured(container.codestream, colour, meta.icc)
    container.exif, container.xmp = meta.exif, meta.xmp
    return _packed(container)


def _container(data: bytes) -> _Container:
    if data.startswith(MAGIC):
        return _Container(data)
    container, parts = _Container(b""), []
    for box in boxes.walk(data):
        kind, body = box.kind, data[box.start : box.stop]
        if kind == b"brob":  # another box, compressed
            kind, packed, body = body[:4], body[4:], b""
            with contextlib.suppress(Exception):  # damaged, or far too large
                body = bytes(imagecodecs.brotli_decode(packed, out=_MAX_INFLATED))
        if kind == b"jxlc":
            parts.append(body)
        elif kind == b"jxlp":  # a part, behind its number
            parts.append(body[4:])
        elif kind == b"jxll":
            container.level = body
        elif kind == b"jhgm":
            container.gain_map = True
        elif kind == b"jbrd":
            container.from_jpeg = True
        elif kind == b"Exif":
            container.exif = container.exif or boxes.exif_of(body)
        elif kind == b"xml ":
            container.xmp = container.xmp or body
    container.codestream = b"".join(parts)
    return container


def _packed(container: _Container) -> bytes:
    if not (container.level or container.exif or container.xmp):
        return container.codestream
    level = boxes.box(b"jxll", container.level) if container.level else b""
    exif = boxes.box(b"Exif", boxes.exif_body(container.exif)) if container.exif else b""
    xmp = boxes.box(b"xml ", container.xmp) if container.xmp else b""
    head = boxes.box(b"JXL ", _SIGNATURE) + boxes.box(b"ftyp", _TYPE)
    return head + level + boxes.box(b"jxlc", container.codestream) + exif + xmp


def _check(header: JxlHeader, size: int, name: str) -> None:
    if header.animated:
        raise FileError(name, "is an animated JPEG XL", "save the frame you want on its own")
    if BLACK in header.extra:
        raise FileError(name, "is a CMYK JPEG XL, which mdn does not read", CMYK_WAY)
    if header.icc and header.xyb:
        # The decoder gives linear light of 8 bits for these, and not the profile's own colours.
        problem = "is a lossy JPEG XL with a colour profile that mdn cannot decode"
        raise FileError(name, problem, "djxl makes a PNG of it")
    if header.bits > 16 and not header.floating:
        raise FileError(name, f"has samples of {header.bits} bits", "convert it to 16 bits")
    check_size(name, header.height, header.width, header.colours + len(header.extra))
    if header.height * header.width > size * _MAX_PIXELS_PER_BYTE:
        raise too_little(name, header.height, header.width)


def _usual(floating: bool) -> Cicp:
    return Cicp(BT709, LINEAR if floating else SRGB)


def _profile(data: bytes) -> bytes | None:
    """The profile, which only another binding can unpack; None where that is not installed."""
    try:
        from pillow_jxl import Decoder

        return bytes(Decoder(1)(data)[3]) or None
    except ImportError:
        return None
    except BaseException as problem:  # it panics where it does not know further
        if isinstance(problem, KeyboardInterrupt | SystemExit):
            raise
        return None


FORMAT = Format(
    name="jxl",
    suffixes=(".jxl",),
    recognises=lambda data: data.startswith((MAGIC, _CONTAINER)),
    decode=decode,
    encode=encode,
    depths=("uint8", "uint16", "float32"),
    holds=frozenset({"icc", "exif", "xmp", "cicp"}),
    max_side=2**30,
    title="JPEG XL",
    lossy=lambda own: own != "lossless",
)
