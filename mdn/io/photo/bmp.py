"""Windows bitmaps: gray, RGB and RGBA of 8 bits; palettes and 16-bit pixels are expanded."""

import io
import struct

import imagecodecs
import numpy as np
from PIL import BmpImagePlugin

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io.base import DAMAGED, Format, check_size, split_alpha, too_little, with_alpha
from mdn.io.photo.png import METRES_PER_INCH

_PIXELS_PER_METRE = 38  # where the two resolutions lie in the file
# Two bytes of run-length coding stand for at most 255 pixels; other kinds take at least a bit each.
_MAX_PIXELS_PER_BYTE = 128


def decode(data: bytes, name: str) -> Image:
    """Read a BMP; a palette of grays becomes gray, any other becomes RGB."""
    # The class itself, not Image.open, which refuses pictures of 180 megapixels.
    image = BmpImagePlugin.BmpImageFile(io.BytesIO(data))
    check_size(name, image.height, image.width, len(image.getbands()))
    if image.width * image.height > len(data) * _MAX_PIXELS_PER_BYTE:
        raise too_little(name, image.height, image.width)
    if image.mode == "1":
        array = np.asarray(image.convert("L"))
    elif image.mode == "P":
        palette = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        array = np.asarray(image.convert("RGB"))
        array = array[..., 0] if (palette == palette[:, :1]).all() else array
    elif image.mode in ("L", "RGB", "RGBA"):
        array = np.asarray(image)
    else:
        raise FileError(name, f"is a BMP of an unknown kind ({image.mode})", DAMAGED)
    pixels, alpha = split_alpha(array.reshape(1, image.height, image.width, -1))
    dpi = image.info.get("dpi")
    bits = 1 if image.mode == "1" else None
    meta = Metadata(dpi=dpi if dpi and all(dpi) else None, bits=bits)
    return Image(pixels, alpha, meta, name, "bmp")


def encode(image: Image, quality: int) -> bytes:
    """Write an uncompressed BMP; `quality` has no meaning here."""
    data = bytearray(imagecodecs.bmp_encode(np.ascontiguousarray(with_alpha(image))))
    dpi = image.meta.dpi or (0.0, 0.0)
    across, down = (round(value / METRES_PER_INCH) for value in dpi)
    struct.pack_into("<ii", data, _PIXELS_PER_METRE, across, down)
    return bytes(data)


FORMAT = Format(
    name="bmp",
    suffixes=(".bmp", ".dib"),
    recognises=lambda data: data.startswith(b"BM"),
    decode=decode,
    encode=encode,
    depths=("uint8",),
    gray_alpha=False,
    holds=frozenset({"dpi"}),
)
