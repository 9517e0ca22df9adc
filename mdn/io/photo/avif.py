"""AVIF, lossy and lossless, 8, 10 and 12 bits (AV1 Image File Format 1.1).

Pixels go through libavif; its binding for Python knows no metadata and no profiles: `heif`.
"""

import struct
from typing import Any

import imagecodecs
import numpy as np

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io.base import Format, check_size, rescaled, split_alpha
from mdn.io.colour import UNSPECIFIED
from mdn.io.exif import set_upright, turned
from mdn.io.photo import boxes
from mdn.io.photo.heif import IDENTITY, Items, add_items, storage

_BRANDS = frozenset({b"avif", b"avis"})
_LIGHT = (b"clli", b"mdcv")  # how bright the picture is, and the display it was made on
_SPEED = 6  # of 0 to 10: slower ones save a few percent and take minutes
# EXIF's orientation for (mirror axis or None, quarter turns to the left); HEIF 6.5.10 and 6.5.12:
# the mirror comes last.
_TURNS = {
    (None, 0): 1, (1, 0): 2, (None, 2): 3, (0, 0): 4,
    (0, 1): 5, (None, 3): 6, (1, 1): 7, (None, 1): 8,
    (1, 2): 4, (0, 2): 2, (0, 3): 7, (1, 3): 5,
}  # fmt: skip


def decode(data: bytes, name: str) -> Image:
    """Read a still AVIF. The picture comes upright, since its own header says how."""
    items = Items(data)
    _check(items, data, name)
    array = imagecodecs.avif_decode(data)
    array = array[..., None] if array.ndim == 2 else array
    bits = _bits(items)
    if array.dtype == np.uint16:
        array = rescaled(array, 2**bits - 1, 65535)
    rotation, mirror = items.last(b"irot"), items.last(b"imir")
    turn = _TURNS[mirror[0] & 1 if mirror else None, rotation[0] & 3 if rotation else 0]
    pixels, alpha = split_alpha(turned(_cropped(array, items, name)[None], turn))
    exif, xmp = set_upright(*items.metadata(), turn)
    icc, colour, lossless = _colours(items)
    private: dict[str, Any] = {
        "avif": {
            "lossless": lossless,
            "light": [(kind, body) for kind, body in items.properties if kind in _LIGHT],
        }
    }
    if beside := items.beside():
        private["dropped"] = beside
    meta = Metadata(icc, exif, xmp, None, private, colour, bits if bits > 8 else None)
    return Image(pixels, alpha, meta, name, "avif")


def encode(image: Image, quality: int) -> bytes:
    """Write an AVIF: lossless if the picture came from a lossless one, else of that quality."""
    meta, store = image.meta, storage(image, "avif", quality)
    gray = image.pixels.shape[-1] == 1
    data = imagecodecs.avif_encode(
        store.array,
        level=100 if store.lossless else min(quality, 99),
        speed=_SPEED,
        bitspersample=store.bits,
        pixelformat="400" if gray else "444" if store.full_chroma else "420",
        primaries=store.colour.primaries,
        transfer=store.colour.transfer,
        matrix=IDENTITY if store.lossless and not gray else store.matrix,
    )
    properties = [(b"colr", b"prof" + meta.icc)] if meta.icc else []
    properties += meta.private.get("avif", {}).get("light", [])
    if not (properties or meta.exif or meta.xmp):
        return bytes(data)
    return add_items(bytes(data), properties, meta.exif, meta.xmp)


def _check(items: Items, data: bytes, name: str) -> None:
    if boxes.find(data, b"moov") is not None:
        raise FileError(name, "is an animated AVIF", "save the frame you want on its own")
    if others := items.others():
        problem = f"is an AVIF of {others + 1} pictures"
        raise FileError(name, problem, "save the one you want on its own")
    extent = items.last(b"ispe")
    if extent is None or len(extent) < 12:
        raise ValueError("no size")
    width, height = struct.unpack_from(">II", extent, 4)
    check_size(name, height, width, 4)


def _bits(items: Items) -> int:
    """Bits of a sample, from the codec's own header or, for grids, from the picture's."""
    codec = items.last(b"av1C")
    if codec is not None and len(codec) >= 4:
        high, twelve = codec[2] & 0x40, codec[2] & 0x20
        return 12 if high and twelve else 10 if high else 8
    depths = items.last(b"pixi")
    return depths[5] if depths is not None and len(depths) > 5 else 8


def _colours(items: Items) -> tuple[bytes | None, tuple[int, int] | None, bool]:
    """Profile, colours by number, and whether the samples are stored without loss."""
    icc, colour, identity = None, None, False
    for kind, body in items.properties:
        if kind == b"colr" and body[:4] in (b"prof", b"rICC"):
            icc = body[4:]
        elif kind == b"colr" and body[:4] == b"nclx" and len(body) >= 11:
            primaries, transfer, matrix, full = struct.unpack_from(">HHHB", body, 4)
            identity = matrix == IDENTITY and bool(full & 0x80)
            unsaid = (primaries, transfer) == (UNSPECIFIED, UNSPECIFIED)
            colour = None if unsaid else (primaries, transfer)
    return icc, colour, identity


def _cropped(array: np.ndarray, items: Items, name: str) -> np.ndarray:
    """The part that is to be shown: `clap` gives its size, and how far its middle is off."""
    body = items.last(b"clap")
    if body is None:
        return array
    size = struct.unpack(">8i", body[:32])
    if not all(size[1::2]):
        raise ValueError("a cut without a size")
    wide, high, right, down = (a / b for a, b in zip(size[::2], size[1::2], strict=True))
    height, width = array.shape[:2]
    left, top = (width - wide) / 2 + right, (height - high) / 2 + down
    places = [left, top, wide, high]
    if any(place != int(place) or place < 0 for place in places):
        raise FileError(name, "is cut at fractions of a pixel", "export it again")
    return array[int(top) : int(top + high), int(left) : int(left + wide)]


FORMAT = Format(
    name="avif",
    suffixes=(".avif",),
    recognises=lambda data: bool(_BRANDS & boxes.brands(data)),
    decode=decode,
    encode=encode,
    holds=frozenset({"icc", "exif", "xmp", "cicp"}),
    max_side=16384,
    max_bits=12,
    lossy=lambda own: not (own or {}).get("lossless", False),
)
