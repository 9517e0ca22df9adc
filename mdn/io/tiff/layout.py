"""How a TIFF stores its pixels, which tags are about that, and which ways mdn reads.

A TIFF can state any size, sample type and position. Kinds that mdn does not hold are refused by
name rather than converted, and claims that the file cannot keep are refused before they get memory.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from tifffile import TIFF, TiffFrame, TiffPage

from mdn.errors import FileError
from mdn.io.base import CMYK_WAY, DAMAGED, MAX_SAMPLES, check_size
from mdn.io.photo import jpeg

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
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
STRUCTURAL = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 282, 283}
    | {284, 288, 289, 290, 291, 292, 293, 296, 301, 317, 320, 322, 323, 324, 325, 330, 332, 334}
    | {338, 339, 340, 341, 342, 347, 351, 400, 700, 34675, 37724}
    | {512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 559}
    | {32995, 32996, 32997, 32998, 33628, 33629, 33630, 33631, 34361, 34412}
    | {0x8769, 0x8825, 0xA005}
)


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


_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 6: 3}  # photometric interpretation -> channels of colour
CMYK = "CMYK"
_NAMED = {
    4: "a mask",
    5: CMYK,
    8: "CIELab",
    9: "CIELab",
    10: "CIELab",
    32803: "a raw camera picture",
    34892: "a raw camera picture",
    32844: "LogLuv",
    32845: "LogLuv",
}
_DEPTHS = frozenset({"uint8", "uint16", "float32"})
_STACK_DEPTHS = _DEPTHS | {"int8", "int16", "uint32", "int32", "float16", "float64"}
_MAX_TILE = 2**26  # samples: a tile larger than any picture it could serve is a trap


def check_page(page: TiffPage, size: int, name: str, pages: int | None = None) -> None:
    """Raise FileError unless mdn can read the page and write it back in its own kind.

    Args:
        size: bytes in the file.
        pages: of a photo, how many are held at once; None for a stack, which is read in parts, and
            whose samples may be of further types.
    """
    height, width = page.imagelength, page.imagewidth
    if pages is None:
        check_size(name, height, width, 0 if 0 in page.shaped else 1, limit=None)
    else:
        sample_bytes = max(1, page.bitspersample // 8)
        check_size(name, height, width, page.samplesperpixel * pages, sample_bytes=sample_bytes)
    photometric, compression = int(page.photometric), int(page.compression)
    if photometric not in _COLOURS:
        kind = _NAMED.get(photometric, f"of photometric kind {photometric}")
        way = CMYK_WAY if kind == CMYK else "convert it to RGB or gray"
        raise FileError(name, f"is {kind}, which mdn does not read", way)
    if compression != JPEG and (photometric == YCBCR or not _is_kept(compression, pages is None)):
        kind = f"compression {compression}" if photometric != YCBCR else "YCbCr without JPEG"
        raise FileError(name, f"has {kind}, which mdn does not read", "save it with LZW or none")
    if page.imagedepth != 1 or getattr(page, "tiledepth", 1) > 1:
        raise FileError(name, "stores volumes in one page", "save it as a stack of pages")
    bits, dtype = page.bitspersample, page.dtype
    # A type with its width in its name, unless fewer bits of it are used.
    full = dtype is not None and bits == dtype.itemsize * 8
    if not full or str(dtype) not in (_STACK_DEPTHS if pages is None else _DEPTHS):
        kind = str(dtype) if full else f"{bits}-bit" if isinstance(bits, int) else "mixed"
        remedy = "convert it to 8 or 16-bit unsigned integers or 32-bit floats"
        raise FileError(name, f"has {kind} samples, which mdn does not read", remedy)
    if pages is not None:
        _check_samples(page, name)
    _check_storage(page, size, name, sparse=pages is None)


def _is_kept(compression: int, stack: bool) -> bool:
    """Whether a page can be written in this compression."""
    if not stack:
        return compression in LOSSLESS
    try:
        return TIFF.COMPRESSORS[compression] is not None
    except (KeyError, NotImplementedError):
        return False


def _ends_early(name: str) -> FileError:
    return FileError(name, "is a TIFF that ends before its pixels do", DAMAGED)


def _check_samples(page: TiffPage, name: str) -> None:
    assert page.dtype is not None
    inverted_float = int(page.photometric) == MINISWHITE and page.dtype.kind == "f"
    if inverted_float or (int(page.photometric) == PALETTE and page.colormap is None):
        raise FileError(name, "has samples without a defined meaning", "convert it to gray")
    extra = page.samplesperpixel - _COLOURS[int(page.photometric)]
    named = any(int(kind) in (1, 2) for kind in page.extrasamples)
    # Nobody says what a second channel beside gray is; leaving it noisy would be a guess.
    if extra not in (0, 1) or (extra == 1 and page.samplesperpixel == 2 and not named):
        count = page.samplesperpixel
        raise FileError(name, f"has {count} channels of unnamed meaning", "save each as a page")


def _check_storage(page: TiffPage, size: int, name: str, sparse: bool) -> None:
    """Strips or tiles must lie in the file, and be no larger than the picture needs.

    sparse: some may be left out; of JPEGs the first is looked at alone.
    """
    check_segments(page, size, name)
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    there = sum(length > 0 for _, length in segments)
    whole = len(segments) >= math.prod(page.chunked) or page.is_contiguous
    if not whole or not there or (there < len(segments) and not sparse):
        raise _ends_early(name)
    chunk = math.prod(page.chunks)
    area = page.imagelength * page.imagewidth * page.samplesperpixel
    if chunk > MAX_SAMPLES or (page.is_tiled and chunk > max(_MAX_TILE, 4 * area)):
        raise FileError(name, f"has segments of {chunk} samples, more than mdn reads", DAMAGED)
    if int(page.compression) != JPEG:
        return
    area = page.imagelength * page.imagewidth
    limit = page.tilelength * page.tilewidth if page.is_tiled else area
    for start, length in segments[:1] if sparse else segments:
        page.parent.filehandle.seek(start)
        frame = jpeg.walk(page.parent.filehandle.read(length), name)
        if frame.height * frame.width > limit:
            raise FileError(name, "has a strip larger than the picture", DAMAGED)


def check_segments(page: TiffPage | TiffFrame, size: int, name: str) -> None:
    """Raise FileError unless every strip or tile lies in the file, or was left out."""
    for start, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        if length and (start <= 0 or start + length > size):
            raise _ends_early(name)
