"""Linear DNG: the camera's colours after the mosaic, before everything else (DNG 1.6)."""

import io
from typing import Any

import numpy as np
from tifffile import TiffWriter

from mdn.image import Image
from mdn.io import exif
from mdn.io.base import Format
from mdn.io.exif import DESCRIPTIVE, ORIENTATION
from mdn.io.raw.develop import XMP, Sensor, decode_light
from mdn.io.tiff.read import decode
from mdn.io.tiff.write import NESTED, append_nested, extratag

_LINEAR_RAW = 34892
_BYTE, _ASCII, _SHORT, _RATIONAL, _SRATIONAL = 1, 2, 3, 5, 10
_D65 = 21
_DENOMINATOR = 10000


def encode(image: Image, quality: int) -> bytes:
    """Write what `develop.read_linear` has read. `quality` has no meaning here."""
    sensor = image.meta.private["raw"]
    light = decode_light(image.pixels[0]) @ sensor.from_srgb.T.astype(np.float32)
    light /= np.asarray(sensor.balance, np.float32)
    samples = np.rint(light.clip(0, 1) * 65535).astype(np.uint16)
    block, directory = exif.parse(image.meta.exif or b"")
    order = sensor.order if sensor.colour_tags else block.order
    nested = {tag: item for tag, item in directory.items() if isinstance(item, dict) and item}
    if block.order != order:
        directory, nested = {}, {}
    stream = io.BytesIO()
    with TiffWriter(stream, byteorder=order, ome=False, shaped=False) as writer:
        tags = _tags(sensor, directory, order)
        if xmp := image.meta.xmp:
            tags.append(extratag(XMP, _BYTE, len(xmp), xmp, order=order))
        tags += [(NESTED[tag], 4, 1, 0, True) for tag in nested if tag in NESTED]
        writer.write(
            samples, photometric=_LINEAR_RAW, planarconfig="contig", metadata=None,
            description=None, software=False, extratags=tags,
        )  # fmt: skip
    if nested:
        append_nested(stream, nested, exif.Layout("<" if order == "<" else ">"))
    return stream.getvalue()


def _tags(sensor: Sensor, directory: exif.Directory, order: str) -> list[tuple[Any, ...]]:
    tags: list[tuple[Any, ...]] = [
        (50706, _BYTE, 4, (1, 4, 0, 0)),  # version, and the oldest reader that understands it
        (50707, _BYTE, 4, (1, 1, 0, 0)),
        (50714, _SHORT, 3, (0, 0, 0)),  # black
        (50717, _SHORT, 3, (65535, 65535, 65535)),  # white
        (ORIENTATION, _SHORT, 1, sensor.orientation),
    ]
    if sensor.colour_tags:
        tags += [(tag, e.type, e.count, e.value) for tag, e in sensor.colour_tags.items()]
    else:
        neutral = [1 / factor for factor in sensor.balance]
        tags += [
            (50708, _ASCII, 0, sensor.model),
            (50721, _SRATIONAL, 9, _fractions(sensor.matrix.ravel())),
            (50778, _SHORT, 1, _D65),
            (50728, _RATIONAL, 3, _fractions(neutral)),
        ]
    codes = {tag for tag, *_ in tags}
    for tag, item in directory.items():
        if tag in DESCRIPTIVE - codes and isinstance(item, exif.Entry):
            tags.append((tag, item.type, item.count, item.value))
    return [extratag(*tag, order=order) for tag in tags]


def _fractions(values: Any) -> list[int]:
    return [part for value in values for part in (round(value * _DENOMINATOR), _DENOMINATOR)]


FORMAT = Format(
    name="dng",
    suffixes=(".dng",),
    recognises=lambda data: False,  # raw files are known by their names: see `develop`
    decode=decode,
    encode=encode,
    depths=("float32",),
    alpha=False,
    gray=False,
    gray_alpha=False,
    holds=frozenset({"exif", "xmp"}),
)
