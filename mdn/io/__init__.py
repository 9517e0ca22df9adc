"""Photo files in and out: PNG, JPEG, TIFF, WebP, BMP, JPEG XL, AVIF, HEIC, PGM, PPM and PFM.

What a file holds beside its pixels comes along: alpha bit for bit, depth, ICC profile, EXIF, XMP,
resolution, and what only its own format knows.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mdn.errors import FileError, MdnError, UsageError
from mdn.image import Image
from mdn.io import exif, foreign
from mdn.io.atomic import read_bytes, write_bytes
from mdn.io.base import DAMAGED, Format, quiet
from mdn.io.foreign import is_raw
from mdn.io.photo import avif, bmp, convert, heic, jpeg, jxl, netpbm, png, webp
from mdn.io.raw import develop, dng
from mdn.io.tiff import read as tiff
from mdn.io.xmp import without_promises

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT for module in (png, jpeg, tiff, webp, bmp, jxl, avif, heic)
}
FORMATS |= {form.name: form for form in netpbm.FORMATS}
SUFFIXES: frozenset[str] = frozenset(
    suffix for form in FORMATS.values() for suffix in form.suffixes
)

RENDERS = frozenset({".exr"})  # no single pictures: `mdn.io.exr` reads and writes them
STORES = frozenset({".zarr"})  # folders that are one input: `mdn.io.zarr`
# What each suffix stands for. DNG is only written, from raw files; so it is no input of folders.
_FORMAT_OF = {
    suffix: form.name for form in (*FORMATS.values(), dng.FORMAT) for suffix in form.suffixes
}
_FORMAT_OF |= dict.fromkeys(RENDERS, "exr") | dict.fromkeys(STORES, "zarr")
EXR_MAGIC = b"v/1\x01"
_BEGIN = 512  # bytes that show what a file is


def read_image(source: Path | bytes, *, name: str | None = None, linear: bool = False) -> Image:
    """Read a picture, upright, with everything it carries.

    Args:
        source: a file, or its content (as from standard input). The content decides the format.
        name: how messages call it; by default the path.
        linear: of a raw file, the camera's own colours, to be written as DNG; else it is developed.

    Returns pixels of uint8, uint16 (full range) or float32 (finite), alpha and metadata. Gain maps,
    films and further pictures are left out, and so is what XMP says of them; see `left_out`.
    Raises FileError: it is missing, unreadable, damaged, cut short, too large, holds NaN or
    infinity, or is of a kind that mdn does not hold.
    """
    name = name or ("standard input" if isinstance(source, bytes) else str(source))
    if isinstance(source, Path) and is_raw(source):
        return develop.read_linear(source, name) if linear else develop.develop(source, name)
    data = source if isinstance(source, bytes) else read_bytes(source, name)
    form = _recognise(data, name)
    try:
        with quiet():
            image = exif.upright(form.decode(data, name))
    except (MdnError, MemoryError):
        raise
    except Exception as problem:  # decoders of damaged files raise whatever they stumble over
        raise FileError(name, f"is a damaged {form.spoken}{_reason(problem)}", DAMAGED) from problem
    floats = [image.pixels, image.alpha] if image.pixels.dtype.kind == "f" else []
    planes = [plane for plane in floats if plane is not None]
    if bad := sum(plane.size - np.count_nonzero(np.isfinite(plane)) for plane in planes):
        total = sum(plane.size for plane in planes)
        wrong = f"has {bad} of {total} samples that are NaN or infinite"
        raise FileError(name, wrong, "replace them with finite values first")
    if image.meta.xmp and (xmp := without_promises(image.meta.xmp).packet) != image.meta.xmp:
        image = replace(image, meta=replace(image.meta, xmp=xmp))
    return image


def write_image(
    image: Image,
    target: Path | None,
    *,
    format: str | None = None,
    quality: int = 95,
    overwrite: bool = True,
    still_wanted: Callable[[], None] = lambda: None,
) -> bytes | None:
    """Write a picture whole, or not at all; what the format cannot hold is left out, see `losses`.

    Args:
        target: the file, replaced by one rename; or None to get the content back.
        format: one of `FORMATS`; by default that of the target's suffix, without a target the
            image's own.
        quality: 1 to 100, for JPEG and the lossy kinds of WebP, JPEG XL, AVIF and HEIC. At 90 and
            above JPEG, AVIF and HEIC keep full chroma.
        overwrite: replace a file that is there, or appears meanwhile; else that is an error.
        still_wanted: called when all is coded and nothing written; may raise.

    Raises:
        FileError: the format cannot hold the picture, or the target cannot be written.
        UsageError: an unknown format or suffix, or a quality out of range.
    """
    if not 1 <= quality <= 100:
        raise UsageError(f"quality {quality} is not between 1 and 100")
    form = _format(format or (image.format if target is None else format_of(target)))
    shown = str(target) if target is not None else image.name
    try:
        with quiet():
            data = form.encode(convert.fit(image, form), quality)
    except (MdnError, MemoryError):
        raise
    except Exception as problem:  # an encoder's refusal is about this one file
        refused = f"cannot be stored as {form.spoken}{_reason(problem)}"
        other = ".png" if form.name == "tiff" else ".tif"
        raise FileError(shown, refused, f"try {other}") from problem
    if target is None:
        return data
    still_wanted()
    write_bytes(target, data, overwrite=overwrite)
    return None


def losses(image: Image, format: str) -> list[str]:
    """What a format cannot hold of this image, one short phrase each ("alpha", "EXIF").

    What the reader itself left in the file is `left_out`.

    Raises FileError: it cannot hold the picture at all (several pages, a side too long): worth
    asking before the work; UsageError: an unknown format.
    """
    return convert.losses(image, _format(format))


def left_out(image: Image) -> list[str]:
    """What the reader of this image left in its file, one short phrase each ("gain map").

    No format keeps it: nobody has denoised it.
    """
    return list(image.meta.private.get("dropped", ()))


def is_lossy(image: Image) -> bool:
    """Whether the file that an image was read from has lost something by its coding."""
    return _format(image.format).lossy(image.meta.private.get(image.format))


def format_of(path: str | os.PathLike[str]) -> str:
    """The format that a path's suffix stands for.

    Raises UsageError: an unknown suffix; the message lists the known ones.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _FORMAT_OF:
        return _FORMAT_OF[suffix]
    readable = " ".join(sorted(SUFFIXES | RENDERS | STORES))
    problem = f"mdn does not write {suffix}" if suffix else "has no suffix, which says the format"
    raise UsageError(f"{path}: {problem}; use one of {readable}")


def spoken(format: str) -> str:
    """What people call a format. Raises UsageError: it is unknown."""
    return _format(format).spoken


def unreadable(path: Path) -> FileError:
    """Why an input whose suffix mdn does not know is refused: what it is, and the way out."""
    about = foreign.by_suffix(path)
    begin = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        begin = file.read(_BEGIN)
    about = about or foreign.by_content(begin)
    if about is not None:
        return FileError(path, f"is {about[0]}, which mdn does not read", about[1])
    own = next((form for form in FORMATS.values() if begin and form.recognises(begin)), None)
    if own is not None:
        name = f"{path.stem}{own.suffixes[0]}"
        return FileError(path, f"is a {own.spoken} under another name", f"call it {name}")
    problem = f"has a suffix that mdn does not know ({path.suffix or 'none'})"
    return FileError(path, problem, _what_is_read())


def _reason(problem: Exception) -> str:
    """What a codec says, in brackets; nothing where Python itself stumbled over odd values."""
    text = " ".join(str(problem).split())[:100]
    return f" ({text})" if text and isinstance(problem, OSError | RuntimeError) else ""


def _format(name: str) -> Format:
    if name in ("exr", "zarr"):
        shown, kind = ("EXR", "renders") if name == "exr" else ("Zarr", "stores")
        raise FileError(shown, f"is for {kind}, which only mdn denoise reads", "write a .tif")
    if name == dng.FORMAT.name:
        return dng.FORMAT
    if name not in FORMATS:
        raise UsageError(f"unknown format {name}; use one of {' '.join(FORMATS)}")
    return FORMATS[name]


def _recognise(data: bytes, name: str) -> Format:
    if not data:
        raise FileError(name, "is empty", "copy or export it again")
    kind = foreign.by_content(data)
    form = next((form for form in FORMATS.values() if form.recognises(data)), None)
    if form is not None and kind is None:
        return form
    if kind is not None or (kind := foreign.by_suffix(Path(name))) is not None:
        also = "" if kind[0].endswith("raw file") else ", which mdn does not read"
        raise FileError(name, f"is {kind[0]}{also}", kind[1])
    if data[:4] == EXR_MAGIC:
        problem = "is an OpenEXR picture, which only mdn denoise reads"
        raise FileError(name, problem, "convert it to TIFF")
    raise FileError(name, "is not a picture that mdn reads", _what_is_read())


def _what_is_read() -> str:
    spoken = ", ".join(form.spoken for form in FORMATS.values())
    return f"it reads {spoken}, OpenEXR and Zarr"
