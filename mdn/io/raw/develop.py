"""From a raw file to a picture, by LibRaw (through rawpy, an extra).

Both ways give what denoisers know, a picture as it is shown: white balance, the camera's matrix to
sRGB, sRGB's curve; nothing is brightened or sharpened. `develop` ends there. `read_linear` clips
nothing, so that `dng.encode` can take every step back, and write what can be developed as if it
were raw still.
"""

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
from mdn.io import exif, foreign
from mdn.io.atomic import read_bytes
from mdn.io.base import DAMAGED, check_size
from mdn.io.exif import DESCRIPTIVE, ORIENTATION, set_upright

MAKER_NOTE, XMP = 37500, 700
SMALLEST_X_TRANS = 512  # pixels: LibRaw's demosaic works in tiles of so many
_CHANGES = b"http://ns.adobe.com/camera-raw-settings/"
_DNG_VERSION = 50706
_FLIPS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's turns as EXIF's orientations
_SRGB_TO_XYZ = np.array(  # IEC 61966-2-1
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
# What a DNG says of its camera's colours, and would not find again elsewhere: model, matrices,
# calibrations, neutral, illuminants, forward matrices, and the exposure that is meant.
_COLOUR_TAGS = frozenset({50708, *range(50721, 50731), 50778, 50779, 50964, 50965})


@dataclass(frozen=True)
class Sensor:
    """What a linear DNG must say of the camera, kept as `Metadata.private["raw"]`."""

    # (3,) the factors of white balance that the samples have been multiplied with, the smallest
    # being 1
    balance: tuple[float, float, float]
    matrix: np.ndarray  # (3, 3) from XYZ to the camera's colours under daylight (D65)
    model: str  # the camera
    orientation: int  # 1 to 8, which the samples have not been turned by
    colour_tags: dict[int, exif.Entry]  # of a source that was a DNG, in place of the matrix
    order: str  # their byte order

    @property
    def from_srgb(self) -> np.ndarray:
        """(3, 3) from linear sRGB to the camera's balanced colours; white stays white."""
        camera = self.matrix @ _SRGB_TO_XYZ
        return np.asarray(camera / camera.sum(1, keepdims=True))


def develop(source: Path, name: str) -> Image:
    """A raw file as an upright picture: 16 bits, sRGB, as exposed by the camera.

    Raises FileError: rawpy is not installed, or LibRaw does not know the file.
    """
    with _opened(source, name) as (raw, rawpy, data):
        turn = _FLIPS.get(raw.sizes.flip, 1)
        pixels = raw.postprocess(
            output_color=rawpy.ColorSpace.sRGB, gamma=(2.4, 12.92), **_settings(raw, rawpy)
        )
        block, dropped = _exif(raw, data)
        xmp = _xmp(data)
        if xmp is not None and _CHANGES in xmp:  # else a developer would make them twice
            xmp, dropped = None, (*dropped, "XMP with a raw developer's settings")
        block, xmp = set_upright(block, xmp, turn)
    meta = Metadata(exif=block, xmp=xmp, private={"dropped": dropped})
    return Image(pixels[None], None, meta, name, "tiff")


def read_linear(source: Path, name: str) -> Image:
    """A raw file as float32 to be written as DNG: as `develop`, but not clipped, and not turned.

    Raises FileError: as `develop`, and where there are four colours.
    """
    with _opened(source, name) as (raw, rawpy, data):
        if raw.num_colors != 3:
            problem = f"has a sensor of {raw.num_colors} colours"
            raise FileError(name, problem, "write a .tif instead of a .dng")
        block, dropped = _exif(raw, data)
        sensor = _sensor(raw, data, block)
        stored = raw.postprocess(
            # Not clipped: the largest factor becomes 1, the others less.
            highlight_mode=rawpy.HighlightMode.Ignore,
            output_color=rawpy.ColorSpace.raw,
            gamma=(1, 1),
            user_flip=0,
            **_settings(raw, rawpy),
        )
    scale = max(sensor.balance) / 65535
    shown = encode_light(stored @ (np.linalg.inv(sensor.from_srgb).T * scale).astype(np.float32))
    meta = Metadata(exif=block, xmp=_xmp(data), private={"raw": sensor, "dropped": dropped})
    return Image(shown[None], None, meta, name, "dng")


def encode_light(light: np.ndarray) -> np.ndarray:
    """Linear light, float32 -> sRGB's curve, going on below 0 and above 1 (IEC 61966-2-1)."""
    x = np.abs(light)
    curved = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** np.float32(1 / 2.4) - 0.055)
    return np.copysign(curved, light)


def decode_light(shown: np.ndarray) -> np.ndarray:
    """The way back from `encode_light`."""
    x = np.abs(shown)
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** np.float32(2.4))
    return np.copysign(light, shown)


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
        with _overheard() as complaints, rawpy.imread(io.BytesIO(data)) as raw:
            check_size(name, raw.sizes.height, raw.sizes.width, 3)
            small = min(raw.sizes.height, raw.sizes.width) < SMALLEST_X_TRANS
            if small and raw.raw_pattern is not None and raw.raw_pattern.shape == (6, 6):
                problem = f"is an X-Trans picture below {SMALLEST_X_TRANS} pixels a side"
                raise FileError(name, f"{problem}, which LibRaw does not develop")
            yield raw, rawpy, data
        if complaints:
            raise FileError(name, f"is {kind} and damaged ({complaints[0]})", DAMAGED)
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
    with tempfile.TemporaryFile() as output:
        sys.stderr.flush()
        before = os.dup(2)
        os.dup2(output.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(before, 2)
            os.close(before)
            output.seek(0)
            text = output.read(10_000).decode(errors="replace")
            lines += [line.removeprefix("unknown file: ") for line in text.splitlines() if line]


def _settings(raw: Any, rawpy: Any) -> dict[str, Any]:
    """The camera's white balance, daylight's where the file has none; nothing brightened.

    AAHD, for what is left of AHD's mazes is no noise, and stays (`python -m benchmarks.raw`).
    LibRaw takes its own demosaic for X-Trans.
    """
    by_camera = raw.camera_whitebalance[0] > 0
    white = {"use_camera_wb": True} if by_camera else {"user_wb": list(raw.daylight_whitebalance)}
    return white | {
        "demosaic_algorithm": rawpy.DemosaicAlgorithm.AAHD,
        "no_auto_bright": True,
        "output_bps": 16,
        "adjust_maximum_thr": 0.0,
    }


def _sensor(raw: Any, data: bytes, block: bytes | None) -> Sensor:
    camera = raw.camera_whitebalance
    factors = camera if camera[0] > 0 else raw.daylight_whitebalance
    positive = [max(float(factor), 1e-6) for factor in factors[:3]]
    red, green, blue = (factor / min(positive) for factor in positive)
    layout, tags = _directory(data)
    source = tags if _DNG_VERSION in tags else {}
    own = {tag: e for tag, e in source.items() if tag in _COLOUR_TAGS and isinstance(e, exif.Entry)}
    described = exif.parse(block or b"")[1]
    words = [described.get(tag) for tag in (0x010F, 0x0110)]
    model = b" ".join(w.value.rstrip(b"\0 ") for w in words if isinstance(w, exif.Entry))
    return Sensor(
        (red, green, blue),
        _matrix(raw),
        model.decode("ascii", "replace") or "camera",
        _FLIPS.get(raw.sizes.flip, 1),
        own,
        layout.order,
    )


def _matrix(raw: Any) -> np.ndarray:
    """XYZ to the camera: as LibRaw has it for cameras it knows, or else of what the file says."""
    matrix = np.asarray(raw.rgb_xyz_matrix[:3], np.float64)
    if np.linalg.matrix_rank(matrix) == 3:
        return matrix
    to_srgb = np.asarray(raw.color_matrix[:, :3], np.float64)
    camera = np.linalg.inv(to_srgb) if np.linalg.matrix_rank(to_srgb) == 3 else np.eye(3)
    return camera @ np.linalg.inv(_SRGB_TO_XYZ)


def _directory(data: bytes) -> tuple[exif.Layout, exif.Directory]:
    """The first directory of a raw file that is a TIFF inside; an empty one of others."""
    head = data[:4]
    if head[:2] in (b"II", b"MM") and head not in (b"II*\0", b"MM\0*"):
        head = b"II*\0" if head[:2] == b"II" else b"MM\0*"  # Panasonic and Olympus have their own
    return exif.parse(head + data[4:])


def _xmp(data: bytes) -> bytes | None:
    """Of a raw file that is a TIFF inside."""
    packet = _directory(data)[1].get(XMP)
    return packet.value if isinstance(packet, exif.Entry) else None


def _exif(raw: Any, data: bytes) -> tuple[bytes | None, tuple[str, ...]]:
    """EXIF from the file itself, or from the JPEG that it holds for a preview; what it leaves."""
    layout, tags = _directory(data)
    block: exif.Directory = {
        tag: item for tag, item in tags.items() if tag in DESCRIPTIVE | exif.POINTERS
    }
    if not block:
        layout, block = exif.parse(_exif_of_preview(raw) or b"")
    if not block:
        return None, ()
    nested = block.get(exif.EXIF_IFD)
    dropped: tuple[str, ...] = ()
    if isinstance(nested, dict) and MAKER_NOTE in nested:
        # Its positions count from the start of the old file.
        block[exif.EXIF_IFD] = {tag: item for tag, item in nested.items() if tag != MAKER_NOTE}
        dropped = ("maker notes",)
    if ORIENTATION not in block:
        one = (1).to_bytes(2, "little" if layout.order == "<" else "big")
        block[ORIENTATION] = exif.Entry(3, 1, one)
    return exif.build(block, layout.order), dropped


def _exif_of_preview(raw: Any) -> bytes | None:
    from PIL import Image as Pillow

    try:
        preview = raw.extract_thumb()
        with Pillow.open(io.BytesIO(preview.data)) as picture:
            block = picture.info.get("exif", b"")
    except Exception:  # none, of an unknown kind, or damaged: then there is no EXIF
        return None
    return block.removeprefix(b"Exif\0\0") or None
