"""Writing TIFF, in the storage that the source had where there was one."""

import io
import struct
from typing import Any

import numpy as np
from tifffile import TiffWriter

from mdn.image import Image
from mdn.io import exif
from mdn.io.exif import DESCRIPTIVE
from mdn.io.tiff.layout import ADOBE_DEFLATE, INCH, JPEG, LOSSLESS, NO_UNIT, TiffLayout

_PROFILE, _XMP = 34675, 700
_CLASSIC_LIMIT = 2**32 - 2**25  # what 32-bit offsets reach, less room for tags
_FRACTIONS = {5: "I", 10: "i"}  # RATIONAL and SRATIONAL
NESTED = {exif.EXIF_IFD: "ExifTag", exif.GPS_IFD: "GPSTag"}


def encode(image: Image, quality: int) -> bytes:
    """Write all pages; `quality` counts only where the source was a JPEG-compressed TIFF."""
    layout = image.meta.private.get("tiff") or TiffLayout()
    block, directory = exif.parse(image.meta.exif or b"")
    order = block.order if directory else layout.order or "<"
    nested = {tag: item for tag, item in directory.items() if isinstance(item, dict) and item}
    size = image.pixels.nbytes + (0 if image.alpha is None else image.alpha.nbytes)
    big = layout.big or size > _CLASSIC_LIMIT
    stream = io.BytesIO()
    options = _options(image, layout, quality)
    with TiffWriter(stream, bigtiff=big, byteorder=order, ome=False, shaped=False) as writer:
        for number in range(len(image.pixels)):
            tags = _tags(image, layout, directory if number == 0 else {}, number, order)
            if number == 0:
                # The library writes no nested directories: their place is held, filled below.
                pointer = exif.Layout(order, big).pointer
                tags += [(NESTED[tag], pointer, 1, 0, True) for tag in nested if tag in NESTED]
            writer.write(_samples(image, layout, number), extratags=tags, **options)
    if nested:
        append_nested(stream, nested, exif.Layout(order, big))
    return stream.getvalue()


def _options(image: Image, layout: TiffLayout, quality: int) -> dict[str, Any]:
    colour = image.pixels.shape[-1] == 3
    dtype = image.pixels.dtype
    options: dict[str, Any] = {
        "photometric": "rgb" if colour else "miniswhite" if layout.inverted else "minisblack",
        "metadata": None,
        "description": None,
        "software": False,
        "contiguous": False,
        "iccprofile": image.meta.icc,
        "tile": layout.tile,
        **_resolution(image, layout),
    }
    if layout.colormap is not None and not colour and dtype.itemsize < 4:
        options |= {"photometric": "palette", "colormap": layout.colormap}
    if image.alpha is not None:
        options["extrasamples"] = [layout.extrasample]
    if image.alpha is not None or colour:
        options["planarconfig"] = "separate" if layout.planar else "contig"
    if layout.compression == JPEG and dtype == np.uint8 and image.alpha is None:
        options |= {"compression": "jpeg", "compressionargs": {"level": quality}}
        options["planarconfig"] = "contig" if colour else None
        return options | ({"subsampling": (1, 1)} if colour else {})
    chosen = layout.compression if layout.compression in LOSSLESS else ADOBE_DEFLATE
    options["compression"] = LOSSLESS[chosen] if chosen is not None else None
    if LOSSLESS[chosen] in ("lzw", "zlib", "zstd", "lzma"):
        options["predictor"] = layout.predictor
    return options


def _resolution(image: Image, layout: TiffLayout) -> dict[str, Any]:
    """The resolution as the source wrote it, unless the picture has been turned since."""
    if layout.resolution is not None:
        across, down, unit = layout.resolution
        turned = image.meta.dpi is not None and not np.isclose(
            image.meta.dpi[0] / image.meta.dpi[1], across[0] * down[1] / max(across[1] * down[0], 1)
        )
        return {"resolution": (down, across) if turned else (across, down), "resolutionunit": unit}
    if image.meta.dpi is not None:
        return {"resolution": image.meta.dpi, "resolutionunit": INCH}
    return {"resolutionunit": NO_UNIT}


def _tags(
    image: Image, layout: TiffLayout, directory: exif.Directory, number: int, order: str
) -> list[tuple[Any, ...]]:
    own = list(layout.tags[number]) if number < len(layout.tags) else []
    codes = {tag for tag, *_ in own}
    for tag, item in directory.items():
        if tag in DESCRIPTIVE and tag not in codes and isinstance(item, exif.Entry):
            own.append((tag, item.type, item.count, item.value))
    if image.meta.xmp and number == 0:
        own.append((_XMP, 1, len(image.meta.xmp), image.meta.xmp))
    return [extratag(*tag, order=order) for tag in own]


def extratag(tag: int, kind: int, count: int, value: Any, *, order: str) -> tuple[Any, ...]:
    """A tag for tifffile, which counts fractions twice where they come as bytes.

    value: its bytes in byte order `order`, or numbers.
    """
    if isinstance(value, bytes) and kind in _FRACTIONS:
        value = struct.unpack(f"{order}{2 * count}{_FRACTIONS[kind]}", value)
    return (tag, kind, count, value, True)


def _samples(image: Image, layout: TiffLayout, number: int) -> np.ndarray:
    """One page as tifffile wants it: (H, W), (H, W, samples) or (samples, H, W)."""
    pixels = image.pixels[number]
    if layout.inverted and pixels.shape[-1] == 1 and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    if image.alpha is not None:
        pixels = np.concatenate([pixels, image.alpha[number][..., None]], axis=-1)
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0)) if layout.planar else pixels


def append_nested(stream: io.BytesIO, nested: dict[int, Any], layout: exif.Layout) -> None:
    """Put the EXIF and GPS directories at the end of the file and point page 1 to them."""
    with stream.getbuffer() as written:
        (first,) = struct.unpack_from(layout.offset, written, 8 if layout.big else 4)
        table = exif.entries(written, first, layout)
    for tag in sorted(nested.keys() & NESTED.keys()):
        end = stream.seek(0, io.SEEK_END)
        if end % 2:
            end += stream.write(b"\0")
        stream.write(exif.write_directory(nested[tag], layout, end))
        stream.seek(table[tag].position)
        stream.write(struct.pack(layout.offset, end))
