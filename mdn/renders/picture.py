"""A render's beauty as a display picture: what -o beauty.png means."""

import numpy as np

from mdn.encoding import Display, Srgb
from mdn.image import Image
from mdn.io.exr import Exr
from mdn.io.exr.layers import Layer


def picture(file: Exr, layer: Layer, format: str) -> tuple[Image, int]:
    """The layer through the curve of sRGB, with straight alpha, and how many samples it clips.

    Args:
        format: what it will be written as.
    """
    light = np.nan_to_num(layer.pixels(file).astype(np.float32), nan=0, posinf=1, neginf=0)
    alpha = None
    if layer.alpha:
        cover = np.nan_to_num(file.parts[layer.part][layer.alpha].astype(np.float32))
        alpha = np.clip(cover, 0, 1)
        cover = np.where(alpha > 0, alpha, 1)[..., None]
        light = (light / cover).astype(np.float32)  # renders premultiply
    clipped = int(((light < 0) | (light > 1)).sum())
    display = Display(np.dtype(np.uint16 if format in ("png", "tiff") else np.uint8))
    shown = display.decode(Srgb().encode(light)[..., :3])
    planes = None if alpha is None else display.decode(alpha)[None]
    return Image(shown[None], planes, name=file.name, format=format), clipped
