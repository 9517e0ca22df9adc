"""EXIF blocks, small TIFF files that say among much else which way up a picture is (Exif 2.32)."""

import re
import struct
from dataclasses import replace

import numpy as np

from mdn.image import Image
from mdn.io.ifd import EXIF_IFD, Entry, directory_length, next_link, number, parse

ORIENTATION = 0x0112
PIXEL_X, PIXEL_Y = 0xA002, 0xA003

# Tags of a TIFF page's own directory that EXIF knows as well: they say what the picture is and
# where it comes from, not how it is stored.
DESCRIPTIVE = frozenset(
    {270, 271, 272, 274, 305, 306, 315, 316, 18246, 18249, 33432}
    | {40091, 40092, 40093, 40094, 40095}
)

_ORIENTATION_IN_XMP = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)[2-8]")


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
    if block and orientation(block) != 1:
        block = _set_upright(block, turn >= 5)
    return block, xmp and _ORIENTATION_IN_XMP.sub(rb"\g<1>1", xmp)


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """Bring (pages, H, W, ...) stored under an EXIF orientation 1..8 upright (Exif 2.32, 4.6.4)."""
    if orientation >= 5:
        array = array.swapaxes(1, 2)
    if orientation in (3, 4, 7, 8):
        array = array[:, ::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, :, ::-1]
    return np.ascontiguousarray(array)


def _set_upright(block: bytes, sideways: bool) -> bytes:
    layout, directory = parse(block)
    edited = bytearray(block)
    tag = directory[ORIENTATION]
    assert isinstance(tag, Entry)
    struct.pack_into(layout.order + ("H" if tag.type == 3 else "I"), edited, tag.position, 1)
    nested = directory.get(EXIF_IFD)
    if sideways and isinstance(nested, dict):
        wide, high = nested.get(PIXEL_X), nested.get(PIXEL_Y)
        if isinstance(wide, Entry) and isinstance(high, Entry) and wide.type == high.type:
            edited[wide.position : wide.position + len(wide.value)] = high.value
            edited[high.position : high.position + len(high.value)] = wide.value
    (first,) = struct.unpack_from(layout.offset, block, 4)
    claimed = directory_length(lambda at, count: block[at : at + count], first, layout)
    link = next_link(first, claimed or 0, layout)
    edited[link : link + 4] = bytes(len(edited[link : link + 4]))
    return bytes(edited)
