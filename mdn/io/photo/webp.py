"""WebP, lossy and lossless, still pictures (RFC 9649)."""

import struct

import imagecodecs

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io.base import DAMAGED, Format, check_size, pillow_encoded, split_alpha, with_alpha

_METADATA = frozenset({b"ICCP", b"EXIF", b"XMP "})
_MAX_SIDE = 16383


def decode(data: bytes, name: str) -> Image:
    """Read a still WebP as 8-bit RGB, with alpha where it has one."""
    chunks = _chunks(data, name)
    if b"ANIM" in chunks or b"ANMF" in chunks:
        raise FileError(name, "is an animated WebP", "save the frame you want on its own")
    if b"VP8 " not in chunks and b"VP8L" not in chunks:
        raise FileError(name, "is a WebP without a picture", DAMAGED)
    check_size(name, *_extent(chunks), 4)
    array = imagecodecs.webp_decode(data)
    pixels, alpha = split_alpha(array[None])
    exif = chunks.get(b"EXIF", b"").removeprefix(b"Exif\0\0") or None
    private = {"webp": "lossless"} if b"VP8L" in chunks else {}
    meta = Metadata(chunks.get(b"ICCP"), exif, chunks.get(b"XMP "), None, private)
    return Image(pixels, alpha, meta, name, "webp")


def encode(image: Image, quality: int) -> bytes:
    """Write a WebP: lossless if the picture came from a lossless one, else of that quality."""
    meta = image.meta
    options = {
        "quality": quality,
        "lossless": meta.private.get("webp") == "lossless",
        "exact": True,  # colours under a transparent alpha are data too
        "icc_profile": meta.icc,
        "exif": meta.exif,
        "xmp": meta.xmp,
    }
    return pillow_encoded(with_alpha(image), ".webp", options)


def _chunks(data: bytes, name: str) -> dict[bytes, bytes]:
    """The chunks of the RIFF container, the first of each kind."""
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise FileError(name, "is a WebP that ends before its picture does", DAMAGED)
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > end:
            raise FileError(name, "is a WebP that ends before its picture does", DAMAGED)
        # Only the head of a picture is looked at here.
        length = size if kind in _METADATA else min(size, 16)
        chunks.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + size + size % 2
    return chunks


def _extent(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    """Height and width from the picture's own header; (0, 0) where it is cut short."""
    if b"VP8L" in chunks and len(chunks[b"VP8L"]) >= 5:
        (bits,) = struct.unpack_from("<I", chunks[b"VP8L"], 1)
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if len(chunks.get(b"VP8 ", b"")) >= 10:
        width, height = struct.unpack_from("<HH", chunks[b"VP8 "], 6)
        return height & 0x3FFF, width & 0x3FFF
    return 0, 0


FORMAT = Format(
    name="webp",
    suffixes=(".webp",),
    recognises=lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP",
    decode=decode,
    encode=encode,
    depths=("uint8",),
    gray=False,
    gray_alpha=False,
    holds=frozenset({"icc", "exif", "xmp"}),
    max_side=_MAX_SIDE,
    title="WebP",
    lossy=lambda own: own != "lossless",
)
