"""The one picture of an image that every part of mdn shares."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Metadata:
    """What travels beside the pixels, in the form the file formats store it."""

    icc: bytes | None = None  # an ICC profile, or None
    # an EXIF block, starting at the TIFF header (no "Exif\0\0" prefix), or None
    exif: bytes | None = None
    xmp: bytes | None = None  # an XMP packet, UTF-8, or None
    dpi: tuple[float, float] | None = None  # horizontal and vertical pixels per inch, or None
    # what only the format it came from understands (PNG chunks, TIFF tags), keyed by that format's
    # name; a writer of another format ignores it. Under "dropped": short phrases for what the
    # reader itself had to leave behind.
    private: dict[str, Any] = field(default_factory=dict)
    # primaries and transfer curve by their numbers in ITU-T H.273 where the file says them so, or
    # None: sRGB. A profile goes before them.
    cicp: tuple[int, int] | None = None
    # how many bits of a sample the file used, where fewer than the dtype has (1, 2, 4, 10 or 12),
    # or None. Samples span the whole dtype all the same.
    bits: int | None = None


@dataclass(frozen=True)
class Image:
    """Pixels as stored, upright, and everything a file carried beside them."""

    # (pages, H, W, C), C = 1 for gray or 3 for RGB; dtype as stored. Integers span their dtype
    # (0..255, 0..65535); floats are linear in the file's own unit, 1.0 being white.
    pixels: np.ndarray
    alpha: np.ndarray | None = None  # (pages, H, W) of the same dtype, or None. Never denoised.
    meta: Metadata = field(default_factory=Metadata)  # metadata to hand on
    name: str = "image"  # how messages call this image
    format: str = "png"  # the format it was read from, one of `mdn.io.FORMATS`
    # the value of samples where nothing was measured, as the file says (it may be NaN), or None
    no_data: float | None = None
    alpha_associated: bool = False  # whether the colours are stored multiplied by alpha
