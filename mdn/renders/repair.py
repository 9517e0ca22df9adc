"""Samples that no filter may see: NaN and infinity; and fireflies, where asked."""

from collections import Counter

import numpy as np

from mdn.pipeline.fill import filled

BAND = 64  # rows at a time: a window of 24 neighbours takes 24 times its memory


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


def clamp_fireflies(pixels: np.ndarray, times: float) -> tuple[np.ndarray, int]:
    """Pixels brighter than `times` their neighbours' median light, brought down to that.

    The median of the 24 neighbours of a 5 x 5 window; colours keep their ratio. As large as the
    light must be for the median to say anything, the mean of the window is a floor for it: on
    black, one lit pixel is a firefly only beside others.

    Args:
        pixels: (H, W, C) float32, finite.
        times: at least 1.

    Returns:
        The pixels, and how many were clamped.
    """
    light = pixels.mean(-1)
    around = np.empty_like(light)
    grown = np.pad(light, 2, mode="symmetric")
    height, width = light.shape
    for start in range(0, height, BAND):
        stop = min(start + BAND, height)
        shifted = [
            grown[start + dy : stop + dy, dx : dx + width]
            for dy in range(5)
            for dx in range(5)
            if (dy, dx) != (2, 2)
        ]
        stack = np.stack(shifted)
        around[start:stop] = np.maximum(np.median(stack, 0), 0.25 * np.mean(stack, 0))
    limit = times * around
    over = (light > limit) & (limit > 0)
    scale = np.where(over, limit / np.where(over, light, 1), 1)
    return (pixels * scale[..., None]).astype(np.float32), int(over.sum())
