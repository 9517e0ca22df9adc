"""A layer before the net and after it: what no filter may see, and how far a result may go."""

from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.pipeline.windows import filled
from mdn.renders import fireflies
from mdn.renders.fireflies import Rule
from mdn.renders.negatives import both_signs, nonnegative

BAND = 256  # rows at a time
NEIGHBOURHOOD = 16  # pixels to each side, whose range a result keeps


def count_odd(pixels: np.ndarray) -> Counter[str]:
    """How many samples of a layer are NaN, infinite, or negative."""
    values = pixels[np.isfinite(pixels)]
    return Counter(
        nan=int(np.isnan(pixels).sum()),
        infinite=int(np.isinf(pixels).sum()),
        negative=int((values < 0).sum()),
    )


def finite(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) float32 with every sample finite: bad ones become the mean of good neighbours.

    What has no good one within 64 pixels becomes 0.
    """
    return filled(pixels, np.isfinite(pixels))


def prepared(
    pixels: np.ndarray, rule: Rule | None, guides: np.ndarray | None = None
) -> tuple[np.ndarray, Counter[str]]:
    """A layer as a net is to see it: finite, no fireflies, and light not below 0.

    Args:
        pixels: (H, W, C) as stored.
        rule: of fireflies; None leaves them.
        guides: (H, W, D), each about 0..1, which may show what is no firefly; or None.

    Returns:
        (H, W, C) float32, and counts: of odd samples, of fireflies (pixels), and 1 where the layer
        is one of both signs.
    """
    odd = count_odd(pixels)
    light = finite(pixels.astype(np.float32))
    if rule is not None:
        found = fireflies.mask(light, rule, guides)
        light = fireflies.rebuilt(light, found)
        odd["fireflies"] = int(found.sum())
    if both_signs(light):
        odd["of both signs"] = 1
        return light, odd
    return nonnegative(light), odd


def within(result: np.ndarray, light: np.ndarray) -> np.ndarray:
    """The result, no sample of which leaves the range of the light around it.

    So what is constant stays as it is, nothing exceeds the brightest, and no number that the file
    cannot hold appears.

    Args:
        result, light: (H, W, C) float32; the light is finite.
    """
    height = light.shape[0]
    bounded = np.empty_like(light)
    for start in range(0, height, BAND):
        stop = min(start + BAND, height)
        top, bottom = max(0, start - NEIGHBOURHOOD), min(height, stop + NEIGHBOURHOOD)
        planes = torch.from_numpy(light[top:bottom].transpose(2, 0, 1).copy())
        highest, lowest = _highest(planes), -_highest(-planes)
        rows = slice(start - top, stop - top)
        low, high = (each[:, rows].numpy().transpose(1, 2, 0) for each in (lowest, highest))
        values = np.where(np.isnan(result[start:stop]), light[start:stop], result[start:stop])
        bounded[start:stop] = np.clip(values, low, high)
    return bounded


def _highest(planes: Tensor) -> Tensor:
    """The largest of (C, H, W) in 33 x 33 pixels around each."""
    size = 2 * NEIGHBOURHOOD + 1
    across = F.max_pool2d(planes[None], (1, size), 1, (0, NEIGHBOURHOOD))
    return F.max_pool2d(across, (size, 1), 1, (NEIGHBOURHOOD, 0))[0]
