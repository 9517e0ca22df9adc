"""HEIC: HEVC in HEIF, lossy and lossless, 8, 10 and 12 bits (ISO/IEC 23008-12).

Everything goes through pillow-heif, which is an extra: its codecs weigh some 10 MB, and HEVC is
patented in places.
"""

import io
import struct
from typing import Any

import numpy as np

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io.base import Format, check_size, rescaled, split_alpha
from mdn.io.colour import UNSPECIFIED
from mdn.io.exif import set_upright
from mdn.io.photo import boxes
from mdn.io.photo.heif import AUXILIARY, IDENTITY, Items, storage
from mdn.io.xmp import DEPTH, GAIN_MAP

_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_NOT_HEVC = frozenset({b"avif", b"avis", b"crx "})
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_LOSSLESS = -1
# How bright the picture is, the display it was made on, and the room it was seen in.
_LIGHT = (
    "content_light_level",
    "mastering_display_colour_volume",
    "ambient_viewing_environment",
    "nominal_diffuse_white_luminance",
)


def decode(data: bytes, name: str) -> Image:
    """Read a still HEIC. The picture comes upright, since its own header says how.

    Raises FileError: pillow-heif is not installed; several pictures, or a film.
    """
    heif = _library(name)
    if boxes.find(data, b"moov") is not None:
        raise FileError(name, "is a film of HEIC pictures", "save the frame you want on its own")
    height, width = _largest(data)
    if not height * width:
        raise ValueError("no picture in it")
    check_size(name, height, width, 4)
    # Samples come as stored, 0 to 1023 for 10 bits: the library's own way to 16 only shifts them.
    file = heif.HeifFile(io.BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    if len(file) > 1:
        problem = f"is a HEIC of {len(file)} pictures"
        raise FileError(name, problem, "save the one you want on its own")
    picture = file[0]
    info = picture.info
    check_size(name, picture.size[1], picture.size[0], 4)
    array = np.asarray(picture)
    array = array[..., None] if array.ndim == 2 else array
    bits = int(info["bit_depth"])
    if array.dtype == np.uint16:
        array = rescaled(array, 2**bits - 1, 65535)
    pixels, alpha = split_alpha(array[None])
    # Its own header has turned the pixels, whatever EXIF says: 5 where that exchanged the sides.
    quarters = [step[1] for step in picture._c_image.transformations if step[0] == "irot"]
    block = (info.get("exif") or b"").removeprefix(b"Exif\0\0") or None
    exif, xmp = set_upright(block, info.get("xmp"), 5 if sum(quarters) // 90 % 2 else 1)
    colour, lossless = _colours(info.get("nclx_profile"))
    private: dict[str, Any] = {
        "heic": {"lossless": lossless, "light": {k: info[k] for k in _LIGHT if k in info}}
    }
    parts = [DEPTH] if info.get("depth_images") else []
    for kind in info.get("aux", {}):
        parts.append(GAIN_MAP if "hdrgainmap" in kind.lower() else AUXILIARY)
    if beside := tuple(dict.fromkeys([*parts, *Items(data).beside()])):
        private["dropped"] = beside
    depth = bits if bits > 8 else None
    meta = Metadata(info.get("icc_profile"), exif, xmp or None, None, private, colour, depth)
    return Image(pixels, alpha, meta, name, "heic")


def encode(image: Image, quality: int) -> bytes:
    """Write a HEIC: lossless if the picture came from a lossless one, else of that quality."""
    heif = _library(image.name)
    meta, store = image.meta, storage(image, "heic", quality)
    height, width, channels = (*store.array.shape, 1)[:3]
    mode = _MODES[channels] + (f";{store.bits}" if store.bits > 8 else "")
    options: dict[str, Any] = {
        "quality": _LOSSLESS if store.lossless else min(quality, 99),
        "chroma": 444 if store.full_chroma else 420,
        "bit_depth": store.bits,
        "color_primaries": store.colour.primaries,
        "transfer_characteristics": store.colour.transfer,
        "matrix_coefficients": IDENTITY if store.lossless else store.matrix,
        "full_range_flag": 1,
        "icc_profile": meta.icc,
        "exif": meta.exif,
        "xmp": meta.xmp,
        **meta.private.get("heic", {}).get("light", {}),
    }
    stream = io.BytesIO()
    choices = {key: value for key, value in options.items() if value is not None}
    heif.encode(mode, (width, height), store.array.tobytes(), stream, **choices)
    return stream.getvalue()


def _library(name: str) -> Any:
    try:
        import pillow_heif
    except ImportError:
        remedy = "install it: pip install 'mdn[heif]'"
        raise FileError(name, "is HEIC, which needs pillow-heif", remedy) from None
    return pillow_heif


def _largest(data: bytes) -> tuple[int, int]:
    """Height and width of the largest picture that the file claims to hold."""
    meta = boxes.find(data, b"meta")
    sizes = [(0, 0)]
    for kind in (b"iprp", b"ipco"):
        meta = meta and boxes.find(data, kind, meta.start + 4 * (kind == b"iprp"), meta.stop)
    for entry in boxes.walk(data, meta.start, meta.stop) if meta else ():
        if entry.kind == b"ispe" and entry.stop - entry.start >= 12:
            width, height = struct.unpack_from(">II", data, entry.start + 4)
            sizes.append((height, width))
    return max(sizes, key=lambda size: size[0] * size[1])


def _colours(nclx: dict[str, Any] | None) -> tuple[tuple[int, int] | None, bool]:
    """Colours by number, and whether the samples are stored without loss."""
    if not nclx:
        return None, False
    colour = int(nclx["color_primaries"]), int(nclx["transfer_characteristics"])
    unsaid = colour == (UNSPECIFIED, UNSPECIFIED)
    return None if unsaid else colour, int(nclx["matrix_coefficients"]) == IDENTITY


FORMAT = Format(
    name="heic",
    suffixes=(".heic", ".heif", ".hif"),
    recognises=lambda data: (
        bool(_BRANDS & boxes.brands(data)) and not _NOT_HEVC & boxes.brands(data)
    ),
    decode=decode,
    encode=encode,
    gray_alpha=False,
    holds=frozenset({"icc", "exif", "xmp", "cicp"}),
    max_side=16384,
    max_bits=12,
    lossy=lambda own: not (own or {}).get("lossless", False),
)
