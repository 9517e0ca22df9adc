"""The mask of --protect: where a picture is to stay as it is."""

from pathlib import Path

import numpy as np

from mdn import io
from mdn.encoding import Display
from mdn.errors import FileError, UsageError


def read_mask(path: Path) -> np.ndarray:
    """(H, W) float32, 0..1: 1 where the mask is white, so that the original stays there.

    Colours count by their mean, and a transparent mask by its opacity as well.

    Raises UsageError: it cannot be read, or has several pages.
    """
    try:
        image = io.read_image(path, name=f"--protect {path}")
    except FileError as error:  # no file of the batch is at fault
        raise UsageError(str(error)) from error
    if len(image.pixels) > 1:
        raise UsageError(f"--protect {path}: has {len(image.pixels)} pages; give a mask of one")
    coding = Display(image.pixels.dtype)
    mask = coding.encode(image.pixels[0]).mean(-1)
    if image.alpha is not None:
        mask = mask * coding.encode(image.alpha[0])
    return np.ascontiguousarray(mask.clip(0, 1), np.float32)


def check_size(mask: np.ndarray, size: tuple[int, int], name: str) -> None:
    """Raises FileError for a picture of another size, height and width, than the mask."""
    if mask.shape != size:
        (tall, wide), (height, width) = mask.shape, size
        raise FileError(
            name,
            f"--protect: the mask has {wide} x {tall} pixels, the picture {width} x {height}",
            "make the mask from this picture",
        )
