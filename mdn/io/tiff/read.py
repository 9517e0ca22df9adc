"""Reading TIFF: 8 and 16-bit integers and 32-bit floats, gray and RGB, one or many equal pages.

The layout and every tag that is not about storage are kept beside the pixels, so that a TIFF
written back differs from the one read in its pixels alone (TIFF 6.0; BigTIFF).
"""

import io
import math
from typing import Any, Literal

import numpy as np
from tifffile import TiffFile, TiffPage

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io import exif
from mdn.io.base import DAMAGED, Format, check_size
from mdn.io.exif import DESCRIPTIVE
from mdn.io.stack import GDAL_NODATA, no_data_of
from mdn.io.tiff.layout import (
    ASSOCIATED,
    CENTIMETRE,
    INCH,
    JPEG,
    MAGICS,
    MINISWHITE,
    PALETTE,
    RGB,
    STRUCTURAL,
    YCBCR,
    TiffLayout,
    check_page,
)
from mdn.io.tiff.write import encode

_PROFILE, _XMP, _X_RESOLUTION, _Y_RESOLUTION, _UNIT = 34675, 700, 282, 283, 296
_REDUCED, _MASK = 1, 4  # NewSubfileType: a smaller copy, a transparency mask
_MAX_PAGES = 2**16


def decode(data: bytes, name: str) -> Image:
    """Read all pages of a TIFF as (pages, H, W, C).

    Raises FileError: the samples are of a kind that mdn does not hold, or pages differ.
    """
    # _multifile: an OME description could make tifffile open other files.
    with TiffFile(io.BytesIO(data), _multifile=False) as file:
        layout = exif.Layout(file.byteorder, file.is_bigtiff)
        pages, dropped = _pages(file, name)
        tags = [exif.read_directory(data, page.offset, layout) for page in pages]
        first = pages[0]
        for page in pages:
            check_page(page, len(data), name, len(pages))
            if _kind(page) != _kind(first):
                problem = "has pages of different sizes or kinds"
                raise FileError(name, problem, "split it into one each")
        stored = _virtual_stack(file, pages, name)
        if stored is None:
            stored = np.empty((len(pages), *first.shape), first.dtype)
            for index, page in enumerate(pages):
                stored[index] = page.asarray(maxworkers=1)
        storage = _layout(first, tags, layout, file.is_imagej)
    if storage.planar:
        stored = np.moveaxis(stored, 1, -1)
    if stored.ndim == 3:
        stored = stored[..., None]
    colours = 3 if first.photometric in (RGB, YCBCR) else 1
    pixels, alpha = stored[..., :colours], stored[..., colours:]
    if first.photometric == MINISWHITE:
        pixels = np.iinfo(pixels.dtype).max - pixels
    if first.photometric == PALETTE and storage.colormap is None:
        pixels = _expanded(pixels[..., 0], np.asarray(first.colormap))
    return Image(
        np.ascontiguousarray(pixels),
        np.ascontiguousarray(alpha[..., 0]) if alpha.shape[-1] else None,
        _metadata(tags[0], storage, layout.order, dropped),
        name,
        "tiff",
        _no_data(first, tags[0], pixels.dtype, storage),
        bool(alpha.shape[-1]) and storage.extrasample == ASSOCIATED,
    )


def _kind(page: TiffPage) -> tuple[object, ...]:
    extra = tuple(map(int, page.extrasamples))
    return page.shape, page.dtype, int(page.photometric), int(page.planarconfig), extra


def _no_data(
    first: TiffPage, tags: exif.Directory, dtype: np.dtype, storage: TiffLayout
) -> float | None:
    """What GDAL says to be no measurement, as the pixels have it that `decode` gives."""
    text = _raw(tags, GDAL_NODATA)
    if text is None or (first.photometric == PALETTE and storage.colormap is None):
        return None
    value = no_data_of(text, dtype)
    return np.iinfo(dtype).max - value if storage.inverted and value is not None else value


def _pages(file: TiffFile, name: str) -> tuple[list[TiffPage], tuple[str, ...]]:
    """The pages that are pictures, and what is left out."""
    pages: list[TiffPage] = []
    dropped: list[str] = []
    offsets: set[int] = set()
    for index, page in enumerate(file.pages):
        if index >= _MAX_PAGES:
            raise FileError(name, f"has more than {_MAX_PAGES} pages", "split it")
        if not isinstance(page, TiffPage) or page.offset in offsets:
            raise FileError(name, f"has no readable page {index + 1}", DAMAGED)
        offsets.add(page.offset)
        if index and page.subfiletype & (_REDUCED | _MASK):
            dropped.append("thumbnail and mask pages")
            continue
        pages.append(page)
    if not pages:
        raise FileError(name, "has no pages", DAMAGED)
    return pages, tuple(dict.fromkeys(dropped))


def _virtual_stack(file: TiffFile, pages: list[TiffPage], name: str) -> np.ndarray | None:
    """All planes of a file that describes one and stores many behind it (ImageJ, tifffile)."""
    page = pages[0]
    if len(pages) > 1 or not (file.is_imagej or file.is_shaped):
        return None
    series = file.series[0]
    count = math.prod(series.shape) // math.prod(page.shape)
    if count <= 1 or math.prod(series.shape) % math.prod(page.shape):
        return None
    check_size(name, page.imagelength, page.imagewidth, page.samplesperpixel * count)
    return series.asarray(maxworkers=1).reshape(count, *page.shape)


def _layout(
    page: TiffPage, tags: list[exif.Directory], layout: exif.Layout, is_imagej: bool
) -> TiffLayout:
    descriptive = _descriptive(tags[0])
    private = [
        tuple(
            (tag, entry.type, entry.count, entry.value)
            for tag, entry in directory.items()
            if isinstance(entry, exif.Entry)
            and tag not in STRUCTURAL
            and (number > 0 or tag not in descriptive)
        )
        for number, directory in enumerate(tags)
    ]
    # In a microscope's palette image the samples are measurements and the palette only tints them.
    colormap = page.colormap if is_imagej and page.photometric == PALETTE else None
    return TiffLayout(
        compression=int(page.compression),
        predictor=page.predictor != 1,
        tile=(page.tilelength, page.tilewidth) if page.is_tiled else None,
        planar=int(page.planarconfig) == 2 and page.samplesperpixel > 1,
        inverted=page.photometric == MINISWHITE,
        colormap=colormap,
        extrasample=int(page.extrasamples[0]) if page.extrasamples else 0,
        big=layout.big,
        order=layout.order,
        resolution=_resolution(tags[0], layout.order),
        tags=tuple(private),
    )


def _resolution(tags: exif.Directory, order: str) -> tuple[Any, Any, int] | None:
    """((numerator, denominator) across, the same down, unit), or None."""
    pairs = []
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        entry = tags.get(tag)
        if not isinstance(entry, exif.Entry) or entry.type != 5:
            return None
        top, bottom = np.frombuffer(entry.value[:8], order + "u4")
        if not bottom:
            return None
        pairs.append((int(top), int(bottom)))
    unit = tags.get(_UNIT)
    number = exif.number(unit, order) if isinstance(unit, exif.Entry) else None
    return pairs[0], pairs[1], INCH if number is None else number


def _descriptive(tags: exif.Directory) -> exif.Directory:
    """What an EXIF block can say as well. Descriptions written for machines stay with the TIFF."""
    result: exif.Directory = {}
    for tag, item in tags.items():
        machine = isinstance(item, exif.Entry) and item.value.startswith(
            (b"ImageJ=", b"<?xml", b"<OME", b"{", b"SCIFIO=")
        )
        if tag in exif.POINTERS or (tag in DESCRIPTIVE and not (tag == 270 and machine)):
            result[tag] = item
    return result


def _metadata(
    tags: exif.Directory, storage: TiffLayout, order: Literal["<", ">"], dropped: tuple[str, ...]
) -> Metadata:
    descriptive = _descriptive(tags)
    block = exif.build(descriptive, order) if descriptive else None
    dpi = None
    if storage.resolution is not None and storage.resolution[2] in (INCH, CENTIMETRE):
        scale = 1.0 if storage.resolution[2] == INCH else 2.54
        across, down = (top / bottom * scale for top, bottom in storage.resolution[:2])
        dpi = (across, down) if across > 0 and down > 0 else None
    private: dict[str, Any] = {"tiff": storage}
    if dropped:
        private["dropped"] = dropped
    return Metadata(_raw(tags, _PROFILE), block, _raw(tags, _XMP), dpi, private)


def _raw(tags: exif.Directory, tag: int) -> bytes | None:
    entry = tags.get(tag)
    return entry.value if isinstance(entry, exif.Entry) else None


def _expanded(indices: np.ndarray, colormap: np.ndarray) -> np.ndarray:
    """Look up a palette of 16-bit colours; 8 bits where they say all, one channel for grays."""
    table = colormap.astype(np.uint16).T
    if (table % 257 == 0).all():
        table = (table // 257).astype(np.uint8)
    elif (table % 256 == 0).all():
        table = (table // 256).astype(np.uint8)
    if (table == table[:, :1]).all():
        table = table[:, :1]
    return table[indices]


FORMAT = Format(
    name="tiff",
    suffixes=(".tif", ".tiff"),
    recognises=lambda data: data[:4] in MAGICS,
    decode=decode,
    encode=encode,
    depths=("uint8", "uint16", "float32"),
    pages=True,
    holds=frozenset({"icc", "exif", "xmp", "dpi"}),
    lossy=lambda layout: layout is not None and layout.compression == JPEG,
)
