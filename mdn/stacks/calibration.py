"""What is to be known of a measured channel before it is denoised: its range and its noise.

Both are functions of the whole channel, all planes together, so that tiles and slices agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.encoding import Anscombe, Counts
from mdn.encoding.counts import HIGH, LOW
from mdn.engine import Infer
from mdn.noise import impulses
from mdn.noise.correlation import BLOCK, reach
from mdn.noise.estimate import NoiseEstimate
from mdn.pipeline.conditioning import FAINT, FAINTEST, Told, see

PLANES = 16  # looked at, at most, evenly spread over the channel
WINDOW, WINDOWS = 256, 32  # pixels a side; how many of them, planes together
CLIPPED = 1e-4  # share of the samples at an end of the dtype, from which on they count as cut off
SURE = 0.01, 99.99  # percentiles that the estimate takes for black and white: hot pixels lie beyond

Region = Callable[[int, int, int, int], np.ndarray]  # (top, bottom, left, right) -> (h, w)


@dataclass(frozen=True)
class Measured:
    """One channel of a stack, looked at.

    Attributes:
        coding: its samples to the net's values and back.
        seen: the noise estimate, on the scale that it was made on.
        level: standard deviation of the noise of encoded values.
        spacing: how far apart samples must be for their noise to be independent.
    """

    coding: Counts
    seen: NoiseEstimate
    level: float
    spacing: int

    @property
    def told(self) -> Told:
        """What to tell a net that wants to be told."""
        share = min(1.0, max(0.0, (self.level - FAINTEST) / (FAINT - FAINTEST)))
        return Told(self.level, share=share, seen=self.seen)

    def describe(self) -> dict[str, float]:
        """For --json: the line of the noise's variance in the unit of the file."""
        curve = self.coding.curve
        gain, offset = (0.0, 0.0) if curve is None else (curve.gain, curve.offset)
        return {"gain": round(gain, 6), "offset": round(offset, 6), "spacing": self.spacing}


def measure(planes: Sequence[tuple[tuple[int, int], Region]], dtype: np.dtype) -> Measured:
    """Look at a channel.

    Args:
        planes: for each of its planes the size (H, W) and a way to read a part of it; all equal.
        dtype: of its samples.
    """
    stored = sample(planes)
    finite = stored[np.isfinite(stored)] if dtype.kind == "f" else stored.ravel()
    if not finite.size:
        finite = np.zeros(1, np.float32)
    black, white = ends(finite, dtype)
    scaled = (stored.astype(np.float64) - black) / (white - black)
    seen = see(torch.from_numpy(np.nan_to_num(scaled, nan=0, posinf=1, neginf=0)).float())
    low, high = (float(value) for value in np.percentile(finite, [LOW, HIGH]))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    high = max(high, low + _least(dtype, low))
    coding = Counts(dtype, low, high, _curve(seen, black, white, low))
    level, spacing = coding.level or 0.0, 1
    if seen.correlated and min(stored.shape[1:]) >= BLOCK:
        found = reach(torch.from_numpy(coding.encode(stored)))
        level, spacing = found.deviation, found.spacing
    return Measured(coding, seen, level, spacing)


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
    flat = (seen.level / 255) ** 2
    offset = seen.offset if gain else flat
    mean = _mean(seen, gain, offset)
    if seen.correlated and mean > 0:
        # Smoothed noise shows little of itself in the differences that the line was measured by.
        gain, offset = gain * flat / mean, offset * flat / mean
    scale = white - black
    gain, offset = gain * scale, offset * scale**2 - gain * scale * black
    # No line is exact: noise must not vanish before the darkest samples are reached.
    offset = max(offset, -gain * low)
    return Anscombe(gain, offset) if gain > 0 or offset > 0 else None


def _mean(seen: NoiseEstimate, gain: float, offset: float) -> float:
    """The mean variance that the line gives over the brightnesses that were measured."""
    found = [max(0.0, gain * b + offset) for b in seen.brightness]
    return sum(found) / len(found) if found else 0.0


def mending(infer: Infer, measured: Sequence[Measured]) -> Infer:
    """`infer`, with hot and dead pixels of each channel (B, C, H, W) mended before it."""

    def mended(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        parts = []
        for index, each in enumerate(measured):
            part = batch[:, index : index + 1]
            parts.append(impulses.mended(part, each.level) if each.level else part)
        return infer(torch.cat(parts, 1), origins)

    return mended


def spaced(infer: Infer, distance: int) -> Infer:
    """`infer` on every `distance`-th sample at a time, all such pictures put together again.

    A net that expects white noise takes smooth noise for structure. Taken that far apart, samples
    have independent noise (pixel-shuffle down-sampling, Zhou et al., AAAI 2020, section 3.2).
    """
    if distance == 1:
        return infer

    def apart(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        count, channels, height, width = batch.shape
        phases = distance * distance
        small = F.pixel_unshuffle(batch, distance)
        small = small.reshape(count, channels, phases, height // distance, width // distance)
        small = small.transpose(1, 2).reshape(-1, channels, *small.shape[-2:])
        output = infer(small, [origin for origin in origins for _ in range(phases)])
        output = output.reshape(count, phases, channels, *small.shape[-2:]).transpose(1, 2)
        whole = output.reshape(count, channels * phases, *small.shape[-2:])
        return _evened(F.pixel_shuffle(whole, distance), distance)

    return apart


def _evened(x: Tensor, period: int) -> Tensor:
    """x without what repeats every `period` samples: the seams between the small pictures.

    Structure as fine as that was under the smooth noise, and is not in them either.
    """
    kernel = torch.ones(period)
    if period % 2 == 0:  # kept in the middle
        kernel = F.conv1d(kernel[None, None], torch.ones(1, 1, 2), padding=1)[0, 0]
    kernel = (kernel / kernel.sum()).to(x)
    half = len(kernel) // 2
    grown = F.pad(x, (half,) * 4, mode="replicate")
    flat = grown.reshape(-1, 1, *grown.shape[-2:])
    flat = F.conv2d(F.conv2d(flat, kernel[None, None, :, None]), kernel[None, None, None, :])
    return flat.reshape(x.shape)
