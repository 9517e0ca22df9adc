"""The range and the noise of a measured channel, before any of it is denoised.

Both are functions of the whole channel, all planes together, so that tiles and slices agree.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from mdn.encoding import Anscombe, Counts
from mdn.encoding.counts import FEW, HIGH, LOW
from mdn.noise.analysis.correlation_length import BLOCK, correlation_length
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.noise.analysis.impulses import median_of_neighbours
from mdn.pipeline.classical import estimate_noise
from mdn.pipeline.counts import Calibration
from mdn.pipeline.known_part import known_part

PLANES = 16  # looked at, at most, evenly spread over the channel
WINDOW, WINDOWS = 256, 32  # pixels a side; how many of them, planes together
CLIPPED = 1e-4  # share of the samples at an end of the dtype, from which on they count as cut off
SURE = 0.01, 99.99  # percentiles that the estimate takes for black and white
FAR = 4.0  # ranges of all else; the estimate of the noise stands hot pixels that are nearer

Region = Callable[[int, int, int, int], np.ndarray]  # (top, bottom, left, right) -> (h, w)


def region_of(plane: np.ndarray) -> Region:
    """Reads parts of a plane (H, W) in memory."""
    return lambda top, bottom, left, right: plane[top:bottom, left:right]


def calibrate(planes: Sequence[tuple[tuple[int, int], Region]], dtype: np.dtype) -> Calibration:
    """Look at a channel.

    planes: for each of its planes the size (H, W) and a way to read a part of it; all equal.
    """
    stored = sample(planes)
    padding = padding_of(stored)
    known = _shows_noise(stored, padding)
    finite = stored[known] if known.any() else np.zeros(1, np.float32)
    if not known.all():
        part = known_part(list(stored[:, None]), list(known))
        stored = stored if part is None else part
    stored, finite = without_hot_pixels(stored, finite)
    black, white = ends(finite, dtype)
    scaled = (stored.astype(np.float64) - black) / (white - black)
    scaled = np.nan_to_num(scaled, nan=0, posinf=1, neginf=0)
    seen = estimate_noise(torch.from_numpy(scaled).float())
    low, high = (float(value) for value in np.percentile(finite, [LOW, HIGH]))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    high = max(high, low + _least(dtype, low))
    coding = Counts(dtype, low, high, _curve(seen, black, white, low), padding)
    level, spacing = coding.level or 0.0, 1
    if seen.correlated and min(stored.shape[1:]) >= BLOCK:
        found = correlation_length(torch.from_numpy(coding.encode(stored)))
        level, spacing = found.deviation, found.pixels
    side_by_side = torch.from_numpy(np.concatenate(coding.encode(stored), 1))[None].float()
    return Calibration(coding, seen, level, spacing, side_by_side)


def sample(planes: Sequence[tuple[tuple[int, int], Region]]) -> np.ndarray:
    """(planes, h, w): windows spread over a channel, all of it where it is small."""
    chosen = np.unique(np.linspace(0, len(planes) - 1, min(PLANES, len(planes))).round())
    height, width = planes[0][0]
    side = max(1, math.isqrt(WINDOWS // len(chosen)))
    tops, lefts = _starts(height, side), _starts(width, side)
    tall, wide = min(WINDOW, height), min(WINDOW, width)
    found = []
    for number in chosen.astype(int):
        read = planes[number][1]
        found.append(np.block([[read(y, y + tall, x, x + wide) for x in lefts] for y in tops]))
    return np.stack(found)


def _starts(length: int, most: int) -> list[int]:
    """Where windows begin along one side: as many as it takes to cover it, or `most`."""
    count = min(most, -(-length // WINDOW))
    last = max(0, length - WINDOW)
    return [round(i * last / max(1, count - 1)) for i in range(count)] if count > 1 else [last // 2]


def _shows_noise(planes: np.ndarray, padding: float | None) -> np.ndarray:
    """(P, H, W) bool: whether samples are numbers, not padding, and not of a plane of one value."""
    known = np.isfinite(planes)
    known = known if padding is None else known & (planes != padding)
    varied = planes.max((1, 2)) != planes.min((1, 2))
    return known & varied[:, None, None] if varied.any() else known


def padding_of(planes: np.ndarray) -> float | None:
    """The value with which planes (P, H, W) were padded; None where they were not.

    Shifted or turned planes are padded where they show nothing, and dropped ones are empty: whole
    neighbourhoods of one value, far below all that was measured. Where a camera cuts off at black,
    the darkest samples that it measured are near by.
    """
    finite = planes[np.isfinite(planes)]
    if not finite.size:
        return None
    least = finite.min()
    rest = finite[finite > least]
    if not rest.size or rest.min() == rest.max():
        return None
    dark, brighter = np.percentile(rest, [1, 10])
    gap = float(dark) - float(least)
    if gap <= brighter - dark:
        return None
    step = np.diff(np.unique(rest)[:FEW]).min()  # 1 where photons are counted one by one
    if gap <= FEW * float(step):
        return None
    empty = torch.from_numpy(planes == least).float()[:, None]
    inside = (F.avg_pool2d(empty, 3, 1) == 1).sum()
    return float(least) if inside > 0.5 * empty.sum() else None


def without_hot_pixels(stored: np.ndarray, finite: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Planes (P, H, W) and their finite samples, both without hot pixels that stretch the range.

    Beside the range of saturated pixels the noise of all others would seem to be nothing.
    """
    darkest, dark, bright, brightest = np.percentile(finite, [SURE[0], 1, 99, SURE[1]])
    if brightest - darkest <= FAR * (bright - dark) or min(stored.shape[1:]) < 3:
        return stored, finite
    planes = np.where(np.isfinite(stored), stored, dark).astype(np.float32)
    around = np.stack([median_of_neighbours(torch.from_numpy(each)).numpy() for each in planes])
    reach = FAR * np.ptp(np.percentile(around, SURE))
    hot = np.abs(planes - around) > reach
    if not reach or not hot.any():
        return stored, finite
    calm = np.where(hot, around, planes)
    return calm, calm.ravel()


def ends(finite: np.ndarray, dtype: np.dtype) -> tuple[float, float]:
    """What the estimate takes for black and white: where values were cut off, exactly there."""
    black, white = (float(value) for value in np.percentile(finite, SURE))
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        black = limits.min if (finite == limits.min).mean() > CLIPPED else black
        white = limits.max if (finite == limits.max).mean() > CLIPPED else white
    return float(black), max(float(white), black + _least(dtype, black))


def _least(dtype: np.dtype, value: float) -> float:
    """The least difference that a range can have."""
    return 1.0 if dtype.kind in "iu" else max(abs(value) * 1e-6, 1e-30)


def _curve(seen: NoiseEstimate, black: float, white: float, low: float) -> Anscombe | None:
    """The transform for the noise that was seen, in the unit of the file."""
    gain = max(0.0, seen.gain) if seen.signal_dependent else 0.0
    flat = seen.sigma**2
    offset = seen.offset if gain else flat
    # The variance that the line gives at the brightnesses that were measured.
    found = [max(0.0, gain * b + offset) for b in seen.brightness]
    mean = sum(found) / len(found) if found else 0.0
    if seen.correlated and mean > 0:
        # Smoothed noise shows little of itself in the differences that the line was measured by.
        gain, offset = gain * flat / mean, offset * flat / mean
    scale = white - black
    gain, offset = gain * scale, offset * scale**2 - gain * scale * black
    # No line is exact: noise must not vanish before the darkest samples are reached.
    offset = max(offset, -gain * low)
    return Anscombe(gain, offset) if gain > 0 or offset > 0 else None
