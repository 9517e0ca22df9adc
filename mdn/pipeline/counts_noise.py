"""The noise of counted light, read by a small net off windows of the whole stack."""

import functools
import json
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mdn.errors import ModelError
from mdn.nets.counts_reader import SIDE, CountsReader, CountsReaderConfig, Scale, scale_of
from mdn.pipeline import hidden
from mdn.registry import store
from mdn.registry.model import read_safetensors

WEIGHTS = "cells/reader.safetensors"  # in the folder of the models that came with mdn
WINDOWS = 64  # that are read at most
TELLING = 0.9  # share of a window's samples that must tell of the noise..
FEWEST = 4  # ..where there are so many such windows
DEPENDENT = 1.4  # variances that differ by less: one sigma for all is wrong by less than a tenth
EVEN = 0.55  # deviations of the noise, that the brightest and darkest cells differ by if none is
# Logit that light was counted, from which on it is believed. Where the noise is known to a share
# only it must be higher: of dim confocal pictures it is 4.5, known to .29.
LIKELY, DOUBT = 0.5, 8.0
# The same of noise that neighbours share: wide-field pictures have -1.4 to -.1, and noise of any
# other kind on soft scenes is as likely. What a net takes out says more: see pipeline.channels.
POSSIBLE = -2.0
LEAST_BLUR = 0.4  # log2 of 1 + pixels: what the blur must surely exceed, to be one
ALIKE = 0.12  # correlation below which samples count as independent
MOST_SPACING = 4  # pixels


@dataclass(frozen=True)
class CountsNoise:
    """What was read, in the unit of the samples."""

    gain: float  # of the line variance = gain * brightness + constant; at least 0
    constant: float
    offset: float  # where there is no light, as far as that can be told
    spread: float  # standard error of the noise's deviation, as a share of it, where it is darkest
    blur: float  # deviation, in pixels, of the Gaussian that blurs the noise; 0 for white noise
    counted: float  # logit that light was counted: above 0 where that is likelier than not

    @property
    def surely_counted(self) -> bool:
        """Whether light was counted, and how much noise that left is no guess."""
        return self.counted > max(LIKELY, DOUBT * self.spread)

    @property
    def may_be_counted(self) -> bool:
        """Whether light may have been counted by a detector whose pixels share their noise."""
        return self.spacing > 1 and self.counted > POSSIBLE

    @property
    def read_noise(self) -> float:
        """Standard deviation without light."""
        return max(0.0, self.constant + self.gain * self.offset) ** 0.5

    @property
    def spacing(self) -> int:
        """The least distance of samples whose noise is independent, from 1 to MOST_SPACING."""
        for distance in range(1, MOST_SPACING):
            if self.blur == 0 or math.exp(-(distance**2) / (4 * self.blur**2)) < ALIKE:
                return distance
        return MOST_SPACING


@torch.inference_mode()
def read_counts(values: np.ndarray, tell: np.ndarray) -> CountsNoise:
    """Read planes (P, H, W), as stored, float64, where they tell of the noise (bool, likewise).

    Raises ModelError: the weights of the net are missing or damaged.
    """
    windows, middle = _windows(values, tell)
    scale = scale_of(windows)
    if bool(scale.even):
        return CountsNoise(0.0, 0.0, middle, 0.0, 0.0, -math.inf)
    numbers, spreads, logit = reader()(windows, scale)
    # Rounded, as processors differ in what they add up first.
    numbers = numbers.double().round(decimals=3)
    gain, constant = (float(value) for value in variance_line(numbers, scale))
    low, blur = float(scale.low), float(numbers[0, 3])
    deviations = spreads[0].exp()
    share = 1 / (1 + math.exp(-float(numbers[0, 2])))
    offset = low - share * (constant + gain * low) / gain if gain else low
    blur = blur if blur - float(deviations[3]) > LEAST_BLUR else 0.0
    return CountsNoise(
        gain,
        constant - gain * middle,
        offset + middle,
        0.5 * math.log(2) * float(deviations[0]),
        2**blur - 1,
        float(logit),
    )


def variance_line(numbers: Tensor, scale: Scale) -> tuple[Tensor, Tensor]:
    """What the net says of windows (B, 4), and their scale, to the line of the noise's variance.

    Gain and constant, (B,) each: at a sample x of the windows the variance is gain * x + constant.
    """
    unit, low, high = (value.to(numbers) for value in (scale.unit, scale.low, scale.high))
    dark, bright = unit**2 * 2 ** numbers[:, 0], unit**2 * 2 ** numbers[:, 1]
    # Means of cells differ by noise as well: where by nothing else, no slope can be told.
    span, middling = (high - low).clamp(min=1e-18), (dark + bright) / 2
    told = (1 - EVEN**2 * middling / span**2).clamp(min=0)
    gain = torch.where(bright > DEPENDENT * dark, told * (bright - dark) / span, 0.0)
    return gain, middling - gain * (span / 2 + low)


@functools.cache
def reader() -> CountsReader:
    """The net that came with mdn. Raises ModelError: its weights are missing or damaged."""
    path = store.shipped_folder() / WEIGHTS
    try:
        state, about = read_safetensors(path)
        net = CountsReader(CountsReaderConfig(**json.loads(about["config"])))
        net.load_state_dict({key: value.float() for key, value in state.items()})
    except Exception as error:  # damaged files raise many kinds
        raise ModelError(f"{path}: does not load: {error}; reinstall mdn") from error
    return net.eval().requires_grad_(False)


def _windows(values: np.ndarray, tell: np.ndarray) -> tuple[Tensor, float]:
    """(1, N, SIDE, SIDE) float32, less the middle value, and that value."""
    middle = float(np.median(values[tell])) if tell.any() else 0.0
    tall, wide = (max(0, SIDE - side) for side in values.shape[1:])
    if tall or wide:
        grown = ((0, 0), (0, tall), (0, wide))
        values, tell = (np.pad(v, grown, mode="symmetric") for v in (values, tell))
    rows, columns = (_starts(side) for side in values.shape[1:])
    places = [(p, y, x) for p in range(len(values)) for y in rows for x in columns]
    parts = [(p, slice(y, y + SIDE), slice(x, x + SIDE)) for p, y, x in places]
    shares = np.array([tell[part].mean() for part in parts])
    best = np.argsort(-shares, kind="stable")
    telling = int((shares >= TELLING).sum())
    best = best[: telling if telling >= FEWEST else FEWEST]
    means = np.array([values[parts[k]][tell[parts[k]]].mean() if shares[k] else 0.0 for k in best])
    chosen = [parts[best[k]] for k in _spread(means)]
    x = torch.from_numpy(np.stack([values[part] - middle for part in chosen])).float()[:, None]
    gaps = torch.from_numpy(np.stack([~tell[part] for part in chosen]))[:, None]
    return hidden.continued(x, gaps)[:, 0][None], middle


def _spread(means: np.ndarray) -> list[int]:
    """Which of windows of these means to read: half of them evenly by rank, half by brightness."""
    if len(means) <= WINDOWS:
        return list(range(len(means)))
    order = np.argsort(means, kind="stable")
    by_rank = np.linspace(0, len(order) - 1, WINDOWS // 2).round().astype(int)
    levels = np.linspace(means.min(), means.max(), WINDOWS // 2)
    by_level = np.searchsorted(means[order], levels).clip(0, len(order) - 1)
    return sorted(set(order[np.concatenate([by_rank, by_level])].tolist()))


def _starts(length: int) -> list[int]:
    """Where windows begin along one side."""
    count = max(1, length // SIDE)
    spare = length - count * SIDE
    return [k * SIDE + spare // 2 for k in range(count)]
