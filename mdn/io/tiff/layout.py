"""How a TIFF stores its pixels, and which tags are about that."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

NO_UNIT, INCH, CENTIMETRE = 1, 2, 3
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2
MINISWHITE, RGB, PALETTE, YCBCR = 0, 2, 3, 6  # photometric interpretations

NONE, LZW, JPEG, ADOBE_DEFLATE, DEFLATE, PACKBITS = 1, 5, 7, 8, 32946, 32773
LZMA, ZSTD = 34925, 50000
# Lossless ones, under the names that tifffile writes them by; JPEG apart.
LOSSLESS = {
    NONE: None,
    LZW: "lzw",
    ADOBE_DEFLATE: "zlib",
    DEFLATE: "zlib",
    PACKBITS: "packbits",
    LZMA: "lzma",
    ZSTD: "zstd",
}

# Tags that say where and how samples are stored (the writer makes its own), that point into the old
# file, or that hold a further copy of the picture (Photoshop's layers, 37724). Tags of the
# microscope formats that store many planes behind one page (MetaMorph, LSM) no longer fit either.
_STRUCTURAL = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 282, 283}
    | {284, 288, 289, 290, 291, 292, 293, 296, 301, 317, 320, 322, 323, 324, 325, 330, 332, 334}
    | {338, 339, 340, 341, 342, 347, 351, 400, 700, 34675, 37724}
    | {512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 559}
    | {32995, 32996, 32997, 32998, 33628, 33629, 33630, 33631, 34361, 34412}
    | {0x8769, 0x8825, 0xA005}
)


def is_structural(tag: int) -> bool:
    """Whether a tag is about storage and so is not handed on."""
    return tag in _STRUCTURAL


@dataclass(frozen=True)
class TiffLayout:
    """The storage of a TIFF, kept as `Metadata.private["tiff"]`."""

    compression: int | None = None  # TIFF's code for it, or None for this module's own choice
    predictor: bool = True  # whether samples are stored as differences
    tile: tuple[int, int] | None = None  # height and width of tiles, or None for strips
    planar: bool = False  # whether each channel is stored on its own
    inverted: bool = False  # whether 0 is white
    # (3, 2**bits) a palette that tints measured samples, or None
    colormap: np.ndarray | None = None
    # what the samples beside the colours are: unspecified, associated, unassociated
    extrasample: int = UNASSOCIATED
    big: bool = False  # whether it is a BigTIFF
    order: Literal["<", ">"] | None = None  # byte order, "<" or ">"
    # across and down as (numerator, denominator), and the unit; or None
    resolution: tuple[Any, Any, int] | None = None
    # for every page its further tags, as (tag, type, count, value)
    tags: tuple[tuple[tuple[int, int, int, bytes], ...], ...] = ()
