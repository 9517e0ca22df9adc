"""Formats of photos, a module each.

Here an image is fitted to what a format can hold, and what is lost on the way is said.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io.base import Format, rescaled
from mdn.io.colour import Cicp, profile
from mdn.io.photo.jpeg import KEPT_MARKERS, MAX_BLOCK
from mdn.io.photo.jxl_header import can_name
from mdn.io.photo.netpbm import NETPBM
from mdn.io.photo.png import COLOUR_CHUNKS, TEXT_CHUNKS
from mdn.io.xmp import without_extension

_SPOKEN = {"icc": "ICC profile", "exif": "EXIF", "xmp": "XMP", "dpi": "resolution (dpi)"}
# What JPEG puts before the block itself; a profile may span many segments.
_PREFIX = {"exif": len(b"Exif\0\0"), "xmp": len(b"http://ns.adobe.com/xap/1.0/\0")}


def losses(image: Image, form: Format) -> list[str]:
    """What `form` cannot hold of this image, one short phrase each.

    Raises FileError: it cannot hold the picture at all: several pages, or a side too long.
    """
    check_fits(image, form)
    lost = []
    depth = str(image.pixels.dtype)
    if depth not in form.depths and depth != "uint8":  # which any other depth holds
        own = f"{image.meta.bits or 16}-bit depth"
        lost.append(own if depth == "uint16" else _float_loss(image, form))
    elif depth == "uint16" and (image.meta.bits or 16) > form.max_bits:
        lost.append(f"{image.meta.bits or 16}-bit depth (stored as {form.max_bits}-bit)")
    if image.alpha is not None and not form.alpha:
        lost.append("alpha")
    if _must_expand(image, form):
        lost.append("single gray channel (stored as RGB)")
    lost += [_SPOKEN[field] for field in _SPOKEN if _is_lost(image.meta, field, form)]
    if _colours(image, form)[0]:
        lost.append(f"colour space {Cicp(*(image.meta.cicp or ()))}")
    return lost + _private_losses(image, form)


def fit(image: Image, form: Format) -> Image:
    """The image with the depth, channels and metadata that `form` stores."""
    check_fits(image, form)
    pixels, alpha, meta = image.pixels, image.alpha, image.meta
    associated = image.alpha_associated and alpha is not None
    if associated and alpha is not None and form.name != "tiff":
        pixels, associated = _divided(pixels, alpha), False
    if str(pixels.dtype) not in form.depths:
        depth = np.dtype(np.uint16 if "uint16" in form.depths else np.uint8)
        pixels = to_depth(pixels, depth)
        alpha = None if alpha is None else to_depth(alpha, depth)
    if not form.alpha:
        alpha = None
    if _must_expand(image, form):
        pixels = np.repeat(pixels, 3, axis=-1)
    lost: dict[str, Any] = {field: None for field in _SPOKEN if _is_lost(meta, field, form)}
    if icc := _colours(image, form)[1]:
        lost["icc"] = icc
    if meta.xmp and "xmp" not in lost and form.name != "jpeg" and "jpeg" in meta.private:
        lost["xmp"] = without_extension(meta.xmp)  # which only a JPEG holds
    meta = replace(meta, **lost)
    return replace(image, pixels=pixels, alpha=alpha, meta=meta, alpha_associated=associated)


def check_fits(image: Image, form: Format) -> None:
    """Raise FileError if a format cannot hold the picture, whatever is given up."""
    pages, height, width, _ = image.pixels.shape
    if form.name == "dng" and "raw" not in image.meta.private:
        raise FileError(image.name, "is no raw file, and DNG is for those", "write a .tif")
    if pages > 1 and not form.pages:
        problem = f"has {pages} pages and {form.spoken} holds one"
        raise FileError(image.name, problem, "write a .tif")
    if not form.colour and image.pixels.shape[-1] > 1:
        raise FileError(image.name, f"is in colour and {form.spoken} is gray", "write a .ppm")
    if form.depths == ("float32",) and image.pixels.dtype.kind != "f":
        problem = f"has whole numbers and {form.spoken} holds light as floats"
        raise FileError(image.name, problem, "write a .tif")
    if max(height, width) > form.max_side:
        problem = f"has {width} x {height} pixels and {form.spoken} holds {form.max_side} a side"
        raise FileError(image.name, problem, "write a .tif")


def to_depth(array: np.ndarray, depth: np.dtype) -> np.ndarray:
    """Scale samples to an integer depth, rounding to nearest.

    Args:
        array: uint8 or uint16 over its range, or float with 1.0 as white; values beyond 0..1 are
            clipped.
        depth: uint8 or uint16.
    """
    if array.dtype == np.uint8:
        return array.astype(depth) * depth.type(257 if depth == np.uint16 else 1)
    if array.dtype not in (np.uint16, np.float32):
        raise TypeError(f"samples of {array.dtype} have no defined range")
    top = np.iinfo(depth).max
    if array.dtype == np.uint16:
        return rescaled(array, 65535, 255).astype(depth)
    return np.rint(np.clip(array, 0, 1) * np.float32(top)).astype(depth)


def _divided(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Undo premultiplied alpha; where alpha is 0 the colours stay as stored."""
    top = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    cover = np.where(alpha == 0, top, alpha).astype(np.float64)[..., None] / top
    plain = pixels / cover
    if pixels.dtype.kind == "f":
        return plain.astype(pixels.dtype)
    return np.rint(np.minimum(plain, top)).astype(pixels.dtype)


def _must_expand(image: Image, form: Format) -> bool:
    if image.pixels.shape[-1] != 1:
        return False
    keeps_alpha = image.alpha is not None and form.alpha
    return not (form.gray_alpha if keeps_alpha else form.gray)


def _is_lost(meta: Metadata, field: str, form: Format) -> bool:
    value = getattr(meta, field)
    if not value or field not in form.holds:
        return bool(value)
    small = field in _PREFIX and form.max_block is not None
    return small and len(value) + _PREFIX[field] > MAX_BLOCK


def _colours(image: Image, form: Format) -> tuple[bool, bytes | None]:
    """Whether a format cannot say colours that are given by number; the profile that says them."""
    meta = image.meta
    if meta.icc or meta.cicp is None or Cicp(*meta.cicp).plain:
        return False, None
    if form.name == "jxl":
        return not can_name(Cicp(*meta.cicp)), None
    if "cicp" in form.holds:
        return False, None
    coloured = image.pixels.shape[-1] > 1
    icc = profile(Cicp(*meta.cicp)) if "icc" in form.holds and coloured else None
    return icc is None, icc


def _float_loss(image: Image, form: Format) -> str:
    outside = np.count_nonzero((image.pixels < 0) | (image.pixels > 1))
    bits = 16 if "uint16" in form.depths else 8
    clipped = f", {outside} samples beyond 0..1 clipped" if outside else ""
    return f"32-bit float depth (stored as {bits}-bit{clipped})"


def _private_losses(image: Image, form: Format) -> list[str]:
    private = image.meta.private
    lost: list[str] = []
    if form.name != "png":
        kinds = {kind for kind, _ in private.get("png", ())}
        lost += ["PNG text"] if kinds & TEXT_CHUNKS else []
        # Without them a picture counts as sRGB, so nothing is lost where they only say that.
        colours = kinds & COLOUR_CHUNKS
        if colours and not (b"sRGB" in colours or image.meta.icc or image.meta.cicp):
            lost.append("PNG colour space")
    if form.name != "jpeg":
        markers = {marker for marker, _ in private.get("jpeg", ())}
        lost += [name for marker, name in KEPT_MARKERS.items() if marker in markers]
    if form.name not in NETPBM and private.get("netpbm", {}).get("comments"):
        lost.append(f"{image.format.upper()} comment")
    if form.name != "tiff" and "tiff" in private and any(private["tiff"].tags):
        lost.append("TIFF tags")
    return lost
