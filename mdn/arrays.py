"""What the axes of an array mean, and pictures read from files as arrays."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdn import io
from mdn.encoding import Display, Rec2100, coding_of
from mdn.errors import FileError, UsageError
from mdn.image import Image
from mdn.io.tiff.stack import is_tiff, open_stack, picture_series

NAME = "the array"  # what messages call an input that is no file
COLOUR = {1: 1, 2: 1, 3: 3, 4: 3}  # colours among the samples of a pixel; one more is alpha


@dataclass(frozen=True)
class Layout:
    """The axes of an array, one letter each, and the way to (pages, channels, H, W, samples)."""

    # Y and X are the rows and columns of a picture, S the colours of a pixel (last: gray, gray and
    # alpha, RGB, RGB and alpha), C channels that were measured one by one. All other letters count
    # pictures, such as Z and T.
    axes: str
    shape: tuple[int, ...]  # of the array

    @property
    def colours(self) -> int:
        """How many of the samples of a pixel are colours, and not alpha."""
        return COLOUR[self._size("S")]

    @property
    def in_colour(self) -> bool:
        """Whether it has an axis of colours."""
        return "S" in self.axes

    def alpha(self, pixels: np.ndarray) -> np.ndarray | None:
        """(..., samples) -> (...): how opaque each pixel is; None where no sample says it."""
        return pixels[..., -1] if pixels.shape[-1] > self.colours else None

    def opaque(self, pixels: np.ndarray) -> np.ndarray:
        """(..., samples) -> (...) bool: where alpha is above 0; everywhere, if there is none."""
        return np.asarray((pixels[..., self.colours :] > 0).all(-1))

    def split(self, array: np.ndarray) -> np.ndarray:
        """The array -> (pages, channels, H, W, samples), a view where numpy can make one."""
        moved = array.transpose(self._order())
        size = self._size
        pages = math.prod(n for n, a in zip(self.shape, self.axes, strict=True) if a not in "CYXS")
        return moved.reshape(pages, size("C"), size("Y"), size("X"), size("S"))

    def runs(self, axis: str) -> list[list[int]]:
        """The pages that differ in their place on an axis alone, in its order; none without it."""
        sizes = {a: n for n, a in zip(self.shape, self.axes, strict=True) if a not in "CYXS"}
        if sizes.get(axis, 1) < 2:
            return []
        pages = np.arange(math.prod(sizes.values())).reshape(list(sizes.values()))
        along = np.moveaxis(pages, list(sizes).index(axis), -1)
        return [[int(page) for page in run] for run in along.reshape(-1, sizes[axis])]

    def join(self, parts: np.ndarray) -> np.ndarray:
        """What `split` gave -> an array of the first shape."""
        order = self._order()
        moved = parts.reshape([self.shape[axis] for axis in order])
        return np.ascontiguousarray(moved.transpose(np.argsort(order)))

    def _size(self, letter: str) -> int:
        return self.shape[self.axes.index(letter)] if letter in self.axes else 1

    def _order(self) -> list[int]:
        inner = [self.axes.index(letter) for letter in "CYXS" if letter in self.axes]
        return [*(axis for axis in range(len(self.axes)) if axis not in inner), *inner]


def layout(shape: tuple[int, ...], axes: str | None = None) -> Layout:
    """What the axes of an array are.

    Without `axes`: (H, W); (H, W, C) where C is 1, 3 or 4; any other three axes are a stack
    (Z, H, W); (N, H, W, C) where C is 3 or 4 is a series of pictures in colour.

    Raises:
        UsageError: the letters do not fit the shape, or are needed to tell what it is.
    """
    sizes = " x ".join(map(str, shape))
    if axes is None:
        axes = _usual_axes(shape)
        if axes is None:
            raise UsageError(f"{NAME} has the shape {sizes}: say what its axes are, as axes='ZCYX'")
    axes = axes.upper()
    if len(axes) != len(shape) or len(set(axes)) != len(axes):
        raise UsageError(f"axes={axes!r}: {NAME} has {len(shape)} axes ({sizes})")
    if not axes.isalpha() or {"Y", "X"} - set(axes):
        raise UsageError(f"axes={axes!r}: use letters such as ZCYX, Y and X among them")
    result = Layout(axes, tuple(shape))
    if result._size("S") not in COLOUR:
        raise UsageError(f"axes={axes!r}: S has {result._size('S')} samples a pixel, not 1 to 4")
    if 0 in shape:
        raise UsageError(f"{NAME} is empty: its shape is {sizes}")
    return result


def _usual_axes(shape: tuple[int, ...]) -> str | None:
    if len(shape) == 2:
        return "YX"
    if len(shape) == 3:
        return "YXS" if shape[-1] in (1, 3, 4) else "ZYX"
    return "ZYXS" if len(shape) == 4 and shape[-1] in (3, 4) else None


@dataclass(frozen=True)
class Stored:
    """The pixels of a file as one array, and what the file says of them."""

    pixels: np.ndarray
    axes: str  # a letter each, see Layout
    measured: bool = False  # whether they were measured as counts
    coding: Display | Rec2100 | None = None  # how a photo is encoded; None for a stack
    associated: bool = False  # whether the colours are stored multiplied by alpha
    no_data: float | None = None  # the value of samples where nothing was measured, or None


def read(path: str | os.PathLike[str], axes: str | None = None) -> Stored:
    """The pixels of a file of one array.

    Raises:
        FileError: it cannot be read as one array.
        UsageError: `axes` does not fit its shape.
    """
    path, name = Path(path), os.fspath(path)
    if path.suffix.lower() in io.RENDERS:
        raise FileError(name, "is a render, not one array", "use mdn denoise for it")
    if path.suffix.lower() in io.STORES:
        raise FileError(name, "is a Zarr store, not one array", "open it with zarr")
    if is_tiff(path):
        with open_stack(path, axes, name) as stack:
            if axes is not None or not stack.photo:
                series = picture_series(stack.file)
                if len(series) > 1:
                    problem = "holds pictures of several sizes"
                    raise FileError(name, problem, "open it with tifffile")
                letters = stack.axes if stack.colour else stack.axes.replace("S", "C")
                first = stack.planes[0]
                return Stored(
                    series[0].asarray(), letters, stack.measured, None,
                    first.alpha_associated, first.no_data,
                )  # fmt: skip
    return of_image(io.read_image(path, name=name))


def of_image(image: Image) -> Stored:
    """The pixels of an image with its alpha."""
    pixels = image.pixels
    if image.alpha is not None:
        pixels = np.concatenate([pixels, image.alpha[..., None]], -1)
    letters = "ZYXS"
    if pixels.shape[-1] == 1:
        pixels, letters = pixels[..., 0], "ZYX"
    if len(pixels) == 1:
        pixels, letters = pixels[0], letters[1:]
    return Stored(pixels, letters, False, coding_of(image), image.alpha_associated, image.no_data)
