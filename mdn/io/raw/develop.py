"""From a raw file to a picture, by LibRaw (through rawpy, an extra).

Two ways lead from the mosaic to RGB. `develop` makes a picture to look at: the camera's white
balance, its matrix to sRGB, sRGB's curve; nothing is brightened or sharpened. `read_linear` stops
before the matrix: what `dng.encode` writes can be developed as if it were raw still. Its samples
too follow sRGB's curve while they are worked on, since that is what denoisers know; the curve and
the white balance are taken back when they are written.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io import foreign, ifd
from mdn.io.atomic import read_bytes
from mdn.io.base import DAMAGED, check_size
from mdn.io.photo.exif import DESCRIPTIVE, ORIENTATION, set_upright

MAKER_NOTE = 37500
_DNG_VERSION = 50706
_FLIPS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's turns as EXIF's orientations
# What a DNG says of its camera's colours, and would not find again elsewhere: model, matrices,
# calibrations, neutral, illuminants, forward matrices, and the exposure that is meant.
_COLOUR_TAGS = frozenset({50708, *range(50721, 50731), 50778, 50779, 50964, 50965})


@dataclass(frozen=True)
class Sensor:
    """What a linear DNG must say of the camera, kept as `Metadata.private["raw"]`.

    Attributes:
        balance: (3,) the factors of white balance that the samples have been multiplied with, the
            largest being 1.
        matrix: (3, 3) from XYZ to the camera's colours under daylight (D65).
        model: the camera.
        orientation: 1 to 8, which the samples have not been turned by.
        colour_tags: of a source that was a DNG, in place of the matrix.
        order: their byte order.
    """

    balance: tuple[float, float, float]
    matrix: np.ndarray
    model: str
    orientation: int
    colour_tags: dict[int, ifd.Entry]
    order: str


def develop(source: Path, name: str) -> Image:
    """A raw file as an upright picture: 16 bits, sRGB, as exposed by the camera.

    Raises:
        FileError: rawpy is not installed, or LibRaw does not know the file.
    """
    with _opened(source, name) as (raw, rawpy, data):
        turn = _FLIPS.get(raw.sizes.flip, 1)
        pixels = raw.postprocess(
            output_color=rawpy.ColorSpace.sRGB, gamma=(2.4, 12.92), **_balance(raw), **_PLAIN
        )
        block, dropped = _exif(raw, data)
        block, _ = set_upright(block, None, turn)
    meta = Metadata(exif=block, private={"dropped": dropped})
    return Image(pixels[None], None, meta, name, "tiff")


def read_linear(source: Path, name: str) -> Image:
    """A raw file as the camera's own colours, balanced, under sRGB's curve; not turned.

    Raises:
        FileError: rawpy is not installed, LibRaw does not know the file, or there are four colours.
    """
    with _opened(source, name) as (raw, rawpy, data):
        if raw.num_colors != 3:
            problem = f"has a sensor of {raw.num_colors} colours"
            raise FileError(name, problem, "write a .tif instead of a .dng")
        block, dropped = _exif(raw, data)
        sensor = _sensor(raw, data, block)
        light = raw.postprocess(
            # Not clipped: the largest factor becomes 1, the others less.
            highlight_mode=rawpy.HighlightMode.Ignore,
            output_color=rawpy.ColorSpace.raw,
            gamma=(1, 1),
            user_flip=0,
            **_balance(raw),
            **_PLAIN,
        )
    meta = Metadata(exif=block, private={"raw": sensor, "dropped": dropped})
    return Image(encode_light(light)[None], None, meta, name, "dng")


def encode_light(light: np.ndarray) -> np.ndarray:
    """Linear samples of 16 bits -> under sRGB's curve, 16 bits: dark steps stay apart."""
    x = np.arange(65536) / 65535
    curved = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.rint(curved * 65535).astype(np.uint16)[light]


def decode_light(curved: np.ndarray) -> np.ndarray:
    """The way back from `encode_light`, as float32 of 0..1."""
    x = np.arange(65536) / 65535
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)[curved]


_PLAIN: dict[str, Any] = {"no_auto_bright": True, "output_bps": 16, "adjust_maximum_thr": 0.0}


@contextmanager
def _opened(source: Path, name: str) -> Iterator[tuple[Any, Any, bytes]]:
    kind, _ = foreign.by_suffix(source) or ("a raw file", "")
    try:
        import rawpy
    except ImportError:
        remedy = "install it: pip install 'mdn[raw]'"
        raise FileError(name, f"is {kind}, which needs rawpy", remedy) from None
    data = read_bytes(source, name)
    try:
        with _overheard() as said, rawpy.imread(io.BytesIO(data)) as raw:
            check_size(name, raw.sizes.height, raw.sizes.width, 3)
            yield raw, rawpy, data
        if said:
            raise FileError(name, f"is {kind} and damaged ({said[0]})", DAMAGED)
    except rawpy.LibRawFileUnsupportedError:
        remedy = "if it is genuine, a converter to DNG may know it"
        raise FileError(name, f"is {kind} that LibRaw does not know", remedy) from None
    except rawpy.LibRawError as problem:
        text = problem.args[0] if problem.args else ""
        reason = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise FileError(name, f"is {kind} and damaged ({reason})", DAMAGED) from None


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """What LibRaw writes to standard error meanwhile, instead of writing it, and at the end.

    Of data that is cut short or corrupt it tells nobody else, and makes up the rest.
    """
    lines: list[str] = []
    with tempfile.TemporaryFile() as kept:
        sys.stderr.flush()
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(before, 2)
            os.close(before)
            kept.seek(0)
            text = kept.read(10_000).decode(errors="replace")
            lines += [line.removeprefix("unknown file: ") for line in text.splitlines() if line]


def _balance(raw: Any) -> dict[str, Any]:
    """The camera's white balance; daylight's where the file has none."""
    if raw.camera_whitebalance[0] > 0:
        return {"use_camera_wb": True}
    return {"user_wb": list(raw.daylight_whitebalance)}


def _sensor(raw: Any, data: bytes, block: bytes | None) -> Sensor:
    camera = raw.camera_whitebalance
    factors = camera if camera[0] > 0 else raw.daylight_whitebalance
    red, green, blue = (max(float(f), 1e-6) / max(factors[:3]) for f in factors[:3])
    layout, tags = _directory(data)
    kept = tags if _DNG_VERSION in tags else {}
    own = {tag: e for tag, e in kept.items() if tag in _COLOUR_TAGS and isinstance(e, ifd.Entry)}
    described = ifd.parse(block or b"")[1]
    words = [described.get(tag) for tag in (0x010F, 0x0110)]
    model = b" ".join(w.value.rstrip(b"\0 ") for w in words if isinstance(w, ifd.Entry))
    return Sensor(
        (red, green, blue),
        np.asarray(raw.rgb_xyz_matrix[:3], np.float64),
        model.decode("ascii", "replace") or "camera",
        _FLIPS.get(raw.sizes.flip, 1),
        own,
        layout.order,
    )


def _directory(data: bytes) -> tuple[ifd.Layout, ifd.Directory]:
    """The first directory of a raw file that is a TIFF inside; an empty one of others."""
    head = data[:4]
    if head[:2] in (b"II", b"MM") and head not in (b"II*\0", b"MM\0*"):
        head = b"II*\0" if head[:2] == b"II" else b"MM\0*"  # Panasonic and Olympus have their own
    return ifd.parse(head + data[4:])


def _exif(raw: Any, data: bytes) -> tuple[bytes | None, tuple[str, ...]]:
    """EXIF from the file itself, or from the JPEG that it holds for a preview; what it leaves."""
    layout, tags = _directory(data)
    found: ifd.Directory = {
        tag: item for tag, item in tags.items() if tag in DESCRIPTIVE | ifd.POINTERS
    }
    if not found:
        layout, found = ifd.parse(_exif_of_preview(raw) or b"")
    if not found:
        return None, ()
    nested = found.get(ifd.EXIF_IFD)
    dropped: tuple[str, ...] = ()
    if isinstance(nested, dict) and MAKER_NOTE in nested:
        # Its positions count from the start of the old file.
        found[ifd.EXIF_IFD] = {tag: item for tag, item in nested.items() if tag != MAKER_NOTE}
        dropped = ("maker notes",)
    if ORIENTATION not in found:
        one = (1).to_bytes(2, "little" if layout.order == "<" else "big")
        found[ORIENTATION] = ifd.Entry(3, 1, one)
    return ifd.build(found, layout.order), dropped


def _exif_of_preview(raw: Any) -> bytes | None:
    from PIL import Image as Pillow

    try:
        preview = raw.extract_thumb()
        with Pillow.open(io.BytesIO(preview.data)) as picture:
            block = picture.info.get("exif", b"")
    except Exception:  # none, of an unknown kind, or damaged: then there is no EXIF
        return None
    return block.removeprefix(b"Exif\0\0") or None
