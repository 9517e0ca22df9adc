"""The pictures of a comparison: read, checked, and brought to what a screen shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mdn import arrays, io
from mdn.encoding import Rec2100
from mdn.encoding.hdr import light_of_srgb, srgb_of
from mdn.errors import FileError, UsageError
from mdn.io import exr
from mdn.io.exr import layers
from mdn.io.tiff.stack import is_tiff
from mdn.metrics import tone_map

ROLES = ("before", "after", "truth")
MOST = 40_000_000  # pixels of a picture in the page; browsers struggle with more
LITTLE = 0.5  # share of its range that a deep picture uses at least, or its contrast is stretched
ENDS = 0.1, 99.9  # percentiles that become black and white then
SHOULDER = 0.75  # of sRGB's signal: what is brighter is compressed, so that it stays below white
# Light in other primaries, by their numbers in H.273 -> in those of sRGB.
_TO_SRGB = {
    9: [  # BT.2020, see BT.2087
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    12: [  # Display P3
        [1.2249, -0.2247, 0.0],
        [-0.0420, 1.0419, 0.0],
        [-0.0197, -0.0786, 1.0979],
    ],
}


@dataclass(frozen=True)
class View:
    """One picture of a comparison, as it is shown."""

    role: str  # before, after or truth
    name: str  # as the user named the file
    stored: np.ndarray  # (H, W, 1 or 3) as in the file, without alpha; HDR as Rec2100 encodes it
    linear: bool = False  # whether it holds linear light
    plane: tuple[int, int] = (0, 1)  # which picture of a stack it is, and how many there are
    measured: bool = False  # whether its samples are counts rather than a picture to look at
    hdr: int = 0  # the number of the primaries of an HDR photo (H.273); 0 for other pictures
    alpha: np.ndarray | None = None  # (H, W) of the same dtype, or None
    associated: bool = False  # whether the colours were multiplied by alpha
    no_data: float | None = None  # the value of samples that hold nothing, or None
    curve: str = ""  # of CURVES, by which linear light is shown; "" for gamma 2.2


def _srgb(light: np.ndarray) -> np.ndarray:
    """As viewers of EXR files show it at exposure 0: sRGB's curve, cut off at white."""
    finite = np.nan_to_num(light.astype(np.float32), nan=0, posinf=1, neginf=0)
    return srgb_of(finite.clip(0, 1)).astype(np.float32)


def _filmic(light: np.ndarray) -> np.ndarray:
    """With a shoulder that keeps highlights (Narkowicz, "ACES Filmic Tone Mapping Curve", 2015)."""
    x = np.nan_to_num(light.astype(np.float32), nan=0, posinf=65504, neginf=0).clip(0, 65504)
    x = x * np.float32(0.72)  # so that middle gray stays where sRGB has it
    shown = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return srgb_of(shown.clip(0, 1)).astype(np.float32)


CURVES = {"srgb": _srgb, "filmic": _filmic}


@dataclass(frozen=True)
class Range:
    """The stored values that are shown as black and as white."""

    black: float
    white: float
    stretched: bool = False

    def encode(self, picture: View) -> np.ndarray:
        """Stored -> float32 (H, W, C), 0..1 and clipped; linear light behind its curve."""
        if picture.linear:
            return CURVES.get(picture.curve, tone_map)(picture.stored)
        if picture.hdr:
            return on_screen(picture.stored, picture.hdr)
        values = (picture.stored.astype(np.float32) - self.black) / (self.white - self.black)
        return np.clip(np.nan_to_num(values), 0, 1)


def read(path: str, role: str, plane: int | None = None) -> View:
    """A picture from a file of any format that mdn reads.

    plane: which picture of a stack, counted from 0; by default the middle one.
    Raises FileError: it cannot be read, or has no such plane.
    """
    if Path(path).suffix.lower() in io.RENDERS:
        render = exr.read(Path(path), name=path)
        light = layers.beauty(layers.layers(render))
        if not light:
            raise FileError(path, "has no layer of light", "compare another file")
        pixels = light[0].pixels(render)
        shown = pixels if pixels.shape[-1] in (1, 3) else pixels[..., :1]
        return View(role, path, shown, linear=True)
    hdr = 0
    if is_tiff(Path(path)) or Path(path).suffix.lower() in io.STORES:
        file = arrays.read(path)
    else:
        image = io.read_image(Path(path), name=path)
        file = arrays.of_image(image)
        if isinstance(file.coding, Rec2100) and image.meta.cicp is not None:
            file, hdr = replace(file, pixels=file.coding.encode(file.pixels)), image.meta.cicp[0]
    array = file.pixels
    layout = arrays.layout(array.shape, file.axes)
    planes = layout.split(array)
    pages, channels = planes.shape[:2]
    count = pages * channels
    number = (pages // 2) * channels if plane is None else plane
    if plane and count == 1:
        raise FileError(path, "is a single picture", "leave --plane out")
    if not 0 <= number < count:
        raise FileError(path, f"has {count} planes, counted from 0", "choose another --plane")
    samples = planes[number // channels, number % channels]
    stored = np.ascontiguousarray(samples[..., : layout.colours])
    return View(
        role, path, stored, False, (number, count), file.measured, hdr,
        layout.alpha(samples), file.associated, file.no_data,
    )  # fmt: skip


def check(pictures: Sequence[View]) -> None:
    """Raises UsageError where the pictures are not of one size, depth and kind."""
    first = pictures[0]
    for other in pictures[1:]:
        sizes = [f"{p.stored.shape[1]} x {p.stored.shape[0]}" for p in (first, other)]
        kinds = [p.stored.dtype for p in (first, other)]
        if sizes[0] != sizes[1]:
            raise UsageError(f"{first.name} is {sizes[0]} and {other.name} {sizes[1]} pixels")
        if first.stored.shape != other.stored.shape:
            raise UsageError(f"one of {first.name} and {other.name} is gray, the other in colour")
        if first.linear != other.linear:
            raise UsageError(f"one of {first.name} and {other.name} is a render, the other is not")
        if kinds[0] != kinds[1] and not first.linear:
            depths = f"{kinds[0]} and {kinds[1]}"
            raise UsageError(f"{first.name} and {other.name} differ in depth: {depths}")


def range_of(pictures: Sequence[View]) -> Range:
    """What is shown as black and white: the range of the dtype, or of what is used of it.

    Deep pictures that use little of their range, as of microscopes, would be black.
    """
    first = pictures[0].stored
    white = float(np.iinfo(first.dtype).max) if first.dtype.kind in "ui" else 1.0
    if first.dtype == np.uint8 or pictures[0].linear or pictures[0].hdr:
        return Range(0.0, white)
    finite = first[np.isfinite(first)]
    low, high = np.percentile(finite, ENDS) if finite.size else (0.0, white)
    if low >= 0 and LITTLE * white <= high <= white:
        return Range(0.0, white)
    return Range(float(low), float(max(high, low + 1e-6 * max(1.0, abs(low)))), stretched=True)


def cropped(
    pictures: Sequence[View], crop: tuple[int, int, int, int] | None
) -> tuple[list[View], str]:
    """The part that the page shows, and what to say of it.

    Args:
        pictures: all of one size.
        crop: left, top, width and height; None for all or, of very large ones, the middle.

    Raises UsageError: the crop does not lie in the pictures.
    """
    height, width = pictures[0].stored.shape[:2]
    note = ""
    if crop is None:
        share = min(1.0, (MOST / (height * width)) ** 0.5)
        wide, tall = max(1, int(width * share)), max(1, int(height * share))
        left, top = (width - wide) // 2, (height - tall) // 2
        if share < 1:
            note = f"The middle {wide} x {tall} pixels are shown; --crop chooses another part."
    else:
        left, top, wide, tall = crop
        inside = 0 <= left < left + wide <= width and 0 <= top < top + tall <= height
        if not inside:
            raise UsageError(f"--crop: not within the {width} x {height} pixels of the pictures")
        note = f"{wide} x {tall} pixels from ({left}, {top}) on are shown."
    rows, columns = slice(top, top + tall), slice(left, left + wide)
    return [replace(view, stored=view.stored[rows, columns]) for view in pictures], note


def on_screen(values: np.ndarray, primaries: int) -> np.ndarray:
    """(H, W, C) as `Rec2100.encode` gives it -> float32, 0..1, in sRGB.

    HDR photos as a usual screen shows them: fewer colours, and a shoulder for what is bright.
    """
    if values.shape[-1] == 3 and primaries in _TO_SRGB:
        light = light_of_srgb(np.maximum(values, 0)) @ np.array(_TO_SRGB[primaries]).T
        values = srgb_of(np.maximum(light, 0))
    room = 1 - SHOULDER
    bright = 1 - room * np.exp(-(np.maximum(values, SHOULDER) - SHOULDER) / room)
    return np.where(values > SHOULDER, bright, values).clip(0, 1).astype(np.float32)
