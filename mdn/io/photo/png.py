"""PNG of every colour type and depth (W3C PNG, third edition), 16-bit colour included.

Pixels go through imagecodecs (libpng), since Pillow cannot read 16-bit colour; the other chunks are
walked here, so that they can be handed on as they are.
"""

import struct
import zlib
from dataclasses import replace
from typing import NamedTuple

import imagecodecs
import numpy as np

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io.base import DAMAGED, Format, check_size, split_alpha, too_little, with_alpha
from mdn.io.colour import Cicp

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEY = b"XML:com.adobe.xmp"
METRES_PER_INCH = 0.0254

TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
COLOUR_CHUNKS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})
# The standard wants tIME renewed when a picture is changed. It stays, as EXIF's DateTime does: the
# time of the picture, and the same input gives the same bytes on any day.
_PLAIN_CHUNKS = frozenset({b"tIME", b"oFFs"})
_RGB_FULL = b"\0\1"  # what cICP says of samples that are RGB and use the whole range

_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MAX_INFLATED = 2**25  # a profile or packet of 32 MB; the largest genuine ones have a few
_DEFLATE_RATIO = 1100  # deflate reaches 1032; fewer bytes than that cannot hold the picture
# Half the time of zlib's default level for files about 1 % larger, on photos.
_LEVEL = 4


class Chunk(NamedTuple):
    type: bytes
    data: bytes


def decode(data: bytes, name: str) -> Image:
    """Read a PNG; 1, 2 and 4 bits become 8, a palette becomes RGB or gray, tRNS becomes alpha."""
    chunks = _chunks(data, name)
    _check(chunks, name)
    bare = [chunk for chunk in chunks if chunk.type in _PIXEL_CHUNKS]
    array = imagecodecs.png_decode(SIGNATURE + b"".join(map(_packed, bare)))
    array = array[..., None] if array.ndim == 2 else array
    meta = _metadata(chunks)
    if chunks[0].data[9] == 0 and chunks[0].data[8] < 8:  # gray of 1, 2 or 4 bits
        meta = replace(meta, bits=chunks[0].data[8])
    if _is_gray_palette(chunks, meta.icc):
        array = array[..., ::3] if array.shape[-1] == 4 else array[..., :1]
    pixels, alpha = split_alpha(array[None])
    if about := _about_samples(chunks, pixels, alpha is not None):
        own = (*meta.private.get("png", ()), *about)
        meta = replace(meta, private=meta.private | {"png": own})
    return Image(pixels, alpha, meta, name, "png")


def encode(image: Image, quality: int) -> bytes:
    """Write a PNG of 8 or 16 bits; `quality` has no meaning here."""
    data = bytes(imagecodecs.png_encode(np.ascontiguousarray(with_alpha(image)), level=_LEVEL))
    after_header = len(SIGNATURE) + 12 + 13
    written = [chunk for chunk in _extra_chunks(image.meta) if _suits(chunk, image)]
    extra = b"".join(map(_packed, written))
    return data[:after_header] + extra + data[after_header:]


def _chunks(data: bytes, name: str) -> list[Chunk]:
    """Every chunk up to IEND. An ancillary chunk with a wrong checksum is left out."""
    chunks, at = [], len(SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        if len(checksum) < 4:
            break
        ancillary = bool(kind[0] & 0x20)
        if not ancillary or struct.unpack(">I", checksum)[0] == zlib.crc32(kind + body):
            chunks.append(Chunk(kind, body))
        at += 12 + length
        if kind == b"IEND":
            return chunks
    raise FileError(name, "is a PNG that ends before its picture does", DAMAGED)


def _check(chunks: list[Chunk], name: str) -> None:
    if chunks[0].type != b"IHDR" or len(chunks[0].data) != 13:
        raise FileError(name, "is a PNG without a header", DAMAGED)
    width, height, bits, colour = struct.unpack_from(">IIBB", chunks[0].data)
    if colour not in _CHANNELS or bits not in (1, 2, 4, 8, 16):
        raise FileError(name, f"is a PNG of an unknown kind (colour {colour})", DAMAGED)
    decoded = 4 if colour == 3 else _CHANNELS[colour] + 1
    exact = 3 if colour == 3 else _CHANNELS[colour]  # a palette or tRNS may add an alpha
    sample_bytes = exact * (2 if bits == 16 else 1) / decoded
    check_size(name, height, width, decoded, sample_bytes=sample_bytes)
    stored = sum(len(chunk.data) for chunk in chunks if chunk.type == b"IDAT")
    needed = height * ((width * bits * _CHANNELS[colour] + 7) // 8)
    if stored * _DEFLATE_RATIO < needed:
        raise too_little(name, height, width)
    for kind, body in chunks:
        if kind == b"acTL" and body[:4] != b"\0\0\0\1":
            raise FileError(name, "is an animated PNG", "save the frame you want on its own")


def _metadata(chunks: list[Chunk]) -> Metadata:
    icc = exif = xmp = dpi = cicp = None
    private: list[Chunk] = []
    for kind, body in chunks:
        if kind == b"iCCP":
            icc = _inflated(body[body.find(b"\0") + 2 :])
        elif kind == b"eXIf":
            exif = body.removeprefix(b"Exif\0\0")
        elif kind == b"iTXt" and body.startswith(XMP_KEY + b"\0"):
            xmp = _international_text(body)
        elif kind == b"pHYs" and len(body) == 9 and body[8] == 1:
            across, down = struct.unpack_from(">II", body)
            dpi = (across * METRES_PER_INCH, down * METRES_PER_INCH) if across and down else None
        elif kind == b"cICP" and len(body) == 4 and body[2:] == _RGB_FULL:
            cicp = (body[0], body[1])
        elif kind in TEXT_CHUNKS | COLOUR_CHUNKS | _PLAIN_CHUNKS or kind == b"pHYs":
            private.append(Chunk(kind, body))
    return Metadata(icc, exif, xmp, dpi, {"png": tuple(private)} if private else {}, cicp)


def _about_samples(chunks: list[Chunk], pixels: np.ndarray, alpha: bool) -> list[Chunk]:
    """sBIT and bKGD, as they are for the samples that were read (sections 11.3.2.4, 11.3.4.1).

    A palette has become RGB or gray, fewer than 8 bits have become 8, tRNS has become alpha. A
    chunk that does not fit its own picture is left out.
    """
    first = dict(reversed(chunks))  # the first of each kind
    bits, colour = chunks[0].data[8:10]
    colours, depth = pixels.shape[-1], 8 * pixels.dtype.itemsize
    about = []
    significant = first.get(b"sBIT", b"")
    if len(significant) == (3 if colour == 3 else _CHANNELS[colour]) and all(significant):
        own = significant[: 1 if colour in (0, 4) else 3]
        own = bytes([max(own)]) if colours == 1 else own
        opaque = significant[len(significant) - 1 :] if colour in (4, 6) else bytes([depth])
        about.append(Chunk(b"sBIT", own + (opaque if alpha else b"")))
    ground = first.get(b"bKGD", b"")
    if colour == 3 and len(ground) == 1:
        entry = first.get(b"PLTE", b"")[3 * ground[0] :][: 3 if colours == 3 else 1]
        values = list(entry)
    elif len(ground) == 2 * (1 if colour in (0, 4) else 3) and colour != 3:
        values = [
            value * (255 // (2**bits - 1) if bits < 8 else 1)
            for value in struct.unpack(f">{len(ground) // 2}H", ground)
        ]
    else:
        values = []
    if len(values) == colours and max(values) < 2**depth:
        about.append(Chunk(b"bKGD", struct.pack(f">{colours}H", *values)))
    return about


def _suits(chunk: Chunk, image: Image) -> bool:
    """Whether what a chunk says of samples is about those that are written."""
    colours, depth = image.pixels.shape[-1], 8 * image.pixels.dtype.itemsize
    if chunk.type == b"sBIT":
        return len(chunk.data) == colours + (image.alpha is not None) and max(chunk.data) <= depth
    if chunk.type == b"bKGD":
        return len(chunk.data) == 2 * colours and (depth == 16 or not any(chunk.data[::2]))
    return True


def _extra_chunks(meta: Metadata) -> list[Chunk]:
    chunks = list(meta.private.get("png", ()))
    if meta.cicp and not Cicp(*meta.cicp).unsaid:
        chunks.insert(0, Chunk(b"cICP", bytes(meta.cicp) + _RGB_FULL))
    if meta.icc:
        chunks.append(Chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(meta.icc)))
    if meta.exif:
        chunks.append(Chunk(b"eXIf", meta.exif))
    if meta.xmp:
        chunks.append(Chunk(b"iTXt", XMP_KEY + b"\0\0\0\0\0" + meta.xmp))
    if meta.dpi:
        across, down = (round(value / METRES_PER_INCH) for value in meta.dpi)
        chunks.append(Chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    return chunks


def _is_gray_palette(chunks: list[Chunk], icc: bytes | None) -> bool:
    """Whether this is a palette of grays only. An RGB profile needs RGB pixels to apply to."""
    if chunks[0].data[9] != 3 or (icc is not None and icc[16:20] == b"RGB "):
        return False
    palette = next((chunk.data for chunk in chunks if chunk.type == b"PLTE"), b"")
    return palette[0::3] == palette[1::3] == palette[2::3]


def _packed(chunk: Chunk) -> bytes:
    content = chunk.type + chunk.data
    return struct.pack(">I", len(chunk.data)) + content + struct.pack(">I", zlib.crc32(content))


def _inflated(data: bytes) -> bytes | None:
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, _MAX_INFLATED)
    except zlib.error:
        return None
    return plain if inflater.eof else None


def _international_text(body: bytes) -> bytes | None:
    """The text of an iTXt chunk: keyword 0 compressed method language 0 translation 0 text."""
    compressed, rest = body[len(XMP_KEY) + 1 : len(XMP_KEY) + 2], body[len(XMP_KEY) + 3 :]
    parts = rest.split(b"\0", 2)
    if len(parts) < 3:
        return None
    return _inflated(parts[2]) if compressed == b"\1" else parts[2]


FORMAT = Format(
    name="png",
    suffixes=(".png",),
    recognises=lambda data: data.startswith(SIGNATURE),
    decode=decode,
    encode=encode,
    holds=frozenset({"icc", "exif", "xmp", "dpi", "cicp"}),
    max_side=1_000_000,  # libpng's own limit
)
