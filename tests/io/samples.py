"""Small pictures and metadata blocks, and a PNG codec of its own to check against."""

import functools
import io as streams
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms
from PIL.TiffImagePlugin import IFDRational

from mdn import io
from mdn.image import Image

XMP = (
    b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description'
    b' tiff:Orientation="6" dc:title="a"/></x:xmpmeta><?xpacket end="w"?>'
)
MAKER_NOTE = bytes(range(256)) * 2


def picture(
    height: int, width: int, channels: int, dtype: Any = np.uint8, seed: int = 0
) -> np.ndarray:
    """(H, W) or (H, W, C): a gradient with noise, with the extremes of the dtype in it."""
    rng = np.random.default_rng(seed)
    plane = np.linspace(0.1, 0.9, height * width * channels).reshape(height, width, channels)
    values = np.clip(plane + rng.normal(0, 0.05, plane.shape), 0, 1)
    values.flat[0], values.flat[-1] = 0, 1
    if np.issubdtype(dtype, np.integer):
        values = np.rint(values * np.iinfo(dtype).max)
    array = values.astype(dtype)
    return array[..., 0] if channels == 1 else array


@functools.cache  # it carries the time of its making
def icc() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int | None = 1) -> bytes:
    """An EXIF block with nested EXIF and GPS directories and a maker note."""
    block = Pillow.Exif()
    block[0x010F] = "A camera maker"
    if orientation is not None:
        block[0x0112] = orientation
    nested = block.get_ifd(0x8769)
    nested[0x829A] = IFDRational(1, 250)
    nested[0x8827] = 3200
    nested[0x927C] = MAKER_NOTE
    nested[0xA002], nested[0xA003] = 40, 24
    block.get_ifd(0x8825)[1] = "N"
    return block.tobytes().removeprefix(b"Exif\0\0")


def encoded(array: np.ndarray, format: str, **options: Any) -> bytes:
    stream = streams.BytesIO()
    Pillow.fromarray(array).save(stream, format, **options)
    return stream.getvalue()


def coded(image: Image, format: str | None = None, quality: int = 95) -> bytes:
    """The content of the file that mdn writes of an image."""
    data = io.write_image(image, None, format=format, quality=quality)
    assert data is not None
    return data


def opened(data: bytes) -> Pillow.Image:
    image = Pillow.open(streams.BytesIO(data))
    image.load()
    return image


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(
    width: int,
    height: int,
    bits: int,
    colour: int,
    rows: bytes,
    *before: bytes,
    adam7: bool = False,
) -> bytes:
    """A PNG from its rows, each with its filter byte; `before` are chunks before the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, adam7))
    pixels = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + pixels


def png_of(array: np.ndarray, *before: bytes) -> bytes:
    """A PNG of (H, W) or (H, W, 2 to 4) uint8 or uint16, unfiltered."""
    height, width, *rest = array.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[rest[0] if rest else 1]
    big = array.astype(array.dtype.newbyteorder(">")).reshape(height, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in big)
    return png(width, height, array.dtype.itemsize * 8, colour, rows, *before)


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(body)
        found.append((body[:4], body[4:]))
        at += 12 + length
    return found


def unpng(data: bytes) -> np.ndarray:
    """Decode a plain PNG of 8 or 16 bits by the letter of the standard, section 9."""
    parts = chunks_of(data)
    width, height, bits, colour = struct.unpack_from(">IIBB", parts[0][1])
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    step, row = channels * bits // 8, width * channels * bits // 8
    raw = zlib.decompress(b"".join(body for kind, body in parts if kind == b"IDAT"))
    lines = np.zeros((height + 1, row + step), int)
    for y in range(height):
        kind = raw[y * (row + 1)]
        line = raw[y * (row + 1) + 1 : (y + 1) * (row + 1)]
        for x, value in enumerate(line, step):
            a, b, c = lines[y + 1, x - step], lines[y, x], lines[y, x - step]
            p = a + b - c
            paeth = min((abs(p - v), n, v) for n, v in enumerate((a, b, c)))[2]
            lines[y + 1, x] = (value + (0, a, b, (a + b) // 2, paeth)[kind]) % 256
    flat = lines[1:, step:].astype(np.uint8)
    array = flat.view(">u2").astype(np.uint16) if bits == 16 else flat
    shape = (height, width) if channels == 1 else (height, width, channels)
    return array.reshape(shape)
