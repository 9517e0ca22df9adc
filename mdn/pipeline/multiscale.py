"""Noise that neighbours share, one scale after the other.

A net that expects white noise takes smooth noise for picture. But seen from afar it is white: means
of 4 x 4 pixels hardly share any of it. So the picture is denoised at a quarter of its resolution
first, then at half with its coarse part replaced by that result, then at its own: at each scale
what is left is only the noise of that scale, which is nearly white there (after the multi-scale
scheme of Lebrun, Colom and Morel, "The Noise Clinic", IPOL 2015).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise import structure
from mdn.noise.banding import Banding
from mdn.noise.estimate import is_clipped
from mdn.pipeline.destripe import without

SCALES = 2  # halvings
BAND = 256  # rows that are encoded at a time; even
FALLEN = 0.75  # of smoothed, grainy, striped and camera noise on training photos: 0.69 to 0.86
SMALLEST = 64  # pixels a side: what a halved sample must still have to be measured


def halved(x: Tensor) -> Tensor:
    """(B, C, H, W), H and W even -> means of 2 x 2."""
    return F.avg_pool2d(x, 2)


def doubled(x: Tensor) -> Tensor:
    """(B, C, H, W) -> twice the size, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def levels_by_scale(sample: Tensor, smooth: float) -> tuple[float, ...]:
    """Standard deviation of the noise that is left to each scale, the finest first.

    Args:
        sample: (C, H, W), nominal range [0, 1], of the picture.
        smooth: deviation of the white noise that has as much power at the lowest frequencies.

    Returns:
        Up to SCALES figures for what halving and doubling loses at that scale, and one for the
        coarsest; nothing where the sample is too small or nowhere flat.
    """
    x, levels = sample[None], []
    for _ in range(SCALES):
        height, width = (length // 2 * 2 for length in x.shape[2:])
        x = x[..., :height, :width]
        if min(height, width) < 2 * SMALLEST:
            break
        coarse = halved(x)
        clipped = is_clipped(x[0])
        rest = x - doubled(coarse)
        power = [
            structure.power_in_flat(plane, other, clipped)
            for plane, other in zip(x[0], rest[0], strict=True)
        ]
        levels.append(_root_mean(power))
        x = coarse
    # So far down hardly anything is flat, and what is measured may be picture. But means of 2^n
    # pixels have 1/2^n of the coarse noise, and somewhat less, as its power falls off.
    bound = FALLEN * smooth / 2 ** len(levels)
    last = [structure.measure(plane, is_clipped(plane)) for plane in x[0]]
    measured = _root_mean([seen.variance if seen else None for seen in last])
    levels.append(min(measured, bound) if measured else bound)
    return tuple(levels) if len(levels) > 1 and min(levels) > 0 else ()


def _root_mean(power: list[float | None]) -> float:
    known = [value for value in power if value is not None]
    return (sum(known) / len(known)) ** 0.5 if known else 0.0


def as_it_is(values: np.ndarray) -> np.ndarray:
    """For what is encoded already."""
    return values


def half_of(
    page: np.ndarray,
    encode: Callable[[np.ndarray], np.ndarray],
    banding: Banding | None = None,
) -> np.ndarray:
    """(H, W, C) as stored -> its encoded means of 2 x 2, float32, half the size rounded up.

    banding: of the page, to be left out.
    """
    height, width, channels = page.shape
    result = np.empty(((height + 1) // 2, (width + 1) // 2, channels), np.float32)
    for top in range(0, height, BAND):
        part = without(page, encode, banding, slice(top, top + BAND))
        odd = (part.shape[0] % 2, width % 2)
        part = np.pad(part, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")
        rows = part.shape[0] // 2
        means = part.reshape(rows, 2, part.shape[1] // 2, 2, channels).mean((1, 3))
        result[top // 2 : top // 2 + rows] = means
    return result


class Correction:
    """What a coarser scale changed, to be added to the tiles of this one.

    Args:
        change: (h, w, C) float32 at half the resolution.
    """

    def __init__(self, change: np.ndarray) -> None:
        self.change = torch.from_numpy(np.ascontiguousarray(change.transpose(2, 0, 1)))

    def __call__(self, batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        """(B, C, H, W) of tiles at these places, even ones; beyond the picture its edge goes on."""
        height, width = (length // 2 for length in batch.shape[2:])
        parts = []
        for top, left in origins:
            # One more on each side, so that a tile's border is as smooth as its middle.
            rows = torch.arange(top // 2 - 1, top // 2 + height + 1)
            columns = torch.arange(left // 2 - 1, left // 2 + width + 1)
            rows = rows.clamp(0, self.change.shape[1] - 1)
            columns = columns.clamp(0, self.change.shape[2] - 1)
            parts.append(self.change[:, rows[:, None], columns])
        grown = doubled(torch.stack(parts).to(batch.device))[..., 2:-2, 2:-2]
        return batch + grown.expand_as(batch)
