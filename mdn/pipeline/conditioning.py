"""Bringing the noise to the net: a picture's noise is estimated, and nets that can be told are.

Banding is taken out first (`stripes`). Three things are told, each a function of the whole picture,
so that tiles agree:

- how strong the noise is. Where neighbours share it, at each of several scales (`scales`);
- where it depends on brightness, how strong it is at each pixel. For a net that saw no such noise
  a curve makes it equally strong first (one that did does better without, see TRIALS.md);
- which samples are not to be believed: impulses. The net rebuilds them as it rebuilt masked ones in
  training (masked image training, CVPR 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mdn.noise import impulses, local
from mdn.noise.banding import Banding
from mdn.noise.estimate import SMALLEST_SIDE, NoiseEstimate, estimate
from mdn.noise.stabilise import Stabiliser, stabiliser
from mdn.pipeline.multiscale import levels_by_scale

SAMPLE = 1024  # pixels a side of what is looked at to estimate: more does not change the result
WINDOW = 256  # it is put together from windows spread over a larger picture
SALT = 2.0  # times the share of impulses: the most black and white samples that are put down to it
FAINTEST = 0.5 / 255  # noise below which the picture is left alone, up to..
FAINT = 2.0 / 255  # ..where the net is taken at its word


@dataclass(frozen=True)
class Told:
    """What a net is told of one picture.

    Attributes:
        level: standard deviation of the noise, nominal range [0, 1], after the stabiliser.
        curve: (a, b, c) where it depends on brightness: at brightness x the deviation is the level
            times the root of a + b x + c x^2. None where it is the same everywhere.
        stabiliser: the curve that makes it the same everywhere, or None where it is already.
        usual: spread of neighbours for the search for impulses, or None where there are none.
        salted: whether every lonely black or white sample is to be doubted as well.
        scales: for noise that neighbours share, the level at each scale instead, finest first.
        share: how far to follow the net: 0 for a clean picture, 1 from a faint noise on.
        seen: the estimate behind it, None where the user gave the level.
        banding: offsets of rows and columns, which are taken out before all else.
    """

    level: float
    curve: tuple[float, ...] | None = None
    stabiliser: Stabiliser | None = None
    usual: float | None = None
    salted: bool = False
    scales: tuple[float, ...] = ()
    share: float = 1.0
    seen: NoiseEstimate | None = None
    banding: Banding | None = None

    def describe(self) -> dict[str, object]:
        """For --json, on the 0-255 scale."""
        rows, columns = (0.0, 0.0) if self.banding is None else self.banding.sigma
        return {
            "sigma": round(255 * self.level if self.seen is None else self.seen.level, 3),
            "by_brightness": self.seen is not None and self.seen.signal_dependent,
            "correlated": bool(self.scales),
            "impulses": self.usual is not None,
            "banding": {"rows": round(rows, 3), "columns": round(columns, 3)},
        }


def tell(sample: Tensor, sigma: float | None = None, *, stabilise: bool = True) -> Told:
    """What to tell of the picture that `sample` (C, H, W) shows, nominal range [0, 1].

    sigma: the noise's standard deviation on the 0-255 scale, where the user knows it.
    stabilise: make noise that depends on brightness equally strong, for a net that never saw such,
        instead of telling how strong it is where.
    """
    if sigma is not None:
        return Told(sigma / 255)
    seen = see(sample)
    usual, salted = None, False
    if seen.impulsive:
        usual = max(impulses.usual_spread(plane) for plane in _large_enough(sample))
        # Strong noise that was cut off at black and white leaves many more such samples.
        salted = float(impulses.ends(sample).float().mean()) < SALT * seen.impulses
    level, curve, even = seen.level / 255, None, None
    if seen.signal_dependent and not seen.correlated:
        if stabilise:
            even = stabiliser(*seen.curve)
            level = even.level
        elif level > 0:
            curve = tuple(factor / level**2 for factor in seen.curve)
    # Impulses, and the texture around them, pass for noise that neighbours share.
    scales: tuple[float, ...] = ()
    if seen.correlated and not seen.impulsive:
        scales = levels_by_scale(sample, seen.low_frequency_sigma / 255)
    return Told(level, curve, even, usual, salted, scales, share_for(level), seen)


def share_for(level: float) -> float:
    """How far to follow a net for noise of that level: less where there is hardly any."""
    return min(1.0, max(0.0, (level - FAINTEST) / (FAINT - FAINTEST)))


def see(sample: Tensor) -> NoiseEstimate:
    """The noise of a sample (C, H, W) of any size."""
    return estimate(_large_enough(sample))


def infer(net: nn.Module, told: Told, batch: Tensor) -> Tensor:
    """The net's answer to (B, C, H, W) of the picture that `told` speaks of; float32."""
    doubt = None
    if told.usual is not None:
        doubt = impulses.struck(batch, told.usual)
        if told.salted:
            doubt = doubt | impulses.ends(batch)
    if told.share == 0 and doubt is None:
        return batch
    values = told.stabiliser.forward(batch) if told.stabiliser else batch
    keep = None if doubt is None else 1 - doubt.to(batch.dtype)
    if told.curve is None:
        level = torch.tensor(max(told.level, FAINT), device=batch.device)
    else:
        level = (told.level * local.deviation(batch, told.curve)).clamp(min=FAINTEST)
    output = net(values, keep=keep, level=level).float()
    if told.stabiliser:
        output = told.stabiliser.inverse(output)
    if told.share < 1:
        calm = torch.lerp(batch, output, told.share)
        output = calm if doubt is None else torch.where(doubt, output, calm)
    return output


def look(
    page: np.ndarray, encode: Callable[[np.ndarray], np.ndarray], banding: Banding | None = None
) -> Tensor:
    """What to estimate from: (C, h, w) of a page (H, W, C), all of it or windows spread over it.

    banding: of the page, to be left out.
    """
    height, width = page.shape[:2]
    rows, columns = np.arange(height), np.arange(width)
    if height * width > SAMPLE * SAMPLE:
        rows, columns = _seen(height), _seen(width)
        page = page[rows[:, None], columns]
    sample = torch.from_numpy(np.ascontiguousarray(encode(page).transpose(2, 0, 1)))
    if banding is None:
        return sample
    return banding.removed(sample, torch.from_numpy(rows), torch.from_numpy(columns))


def _seen(length: int) -> np.ndarray:
    """The rows, or columns, of the windows."""
    tall = min(WINDOW, length)
    return np.concatenate([np.arange(start, start + tall) for start in _starts(length)])


def _starts(length: int) -> list[int]:
    """Where the windows begin along one side, evenly spread, at most SAMPLE / WINDOW of them."""
    count = min(SAMPLE // WINDOW, max(1, length // WINDOW))
    return [
        round(i * (length - WINDOW) / max(1, count - 1)) if count > 1 else 0 for i in range(count)
    ]


def _large_enough(sample: Tensor) -> Tensor:
    """The sample, mirrored until the estimator takes it."""
    for axis in (1, 2):
        while sample.shape[axis] < SMALLEST_SIDE:
            sample = torch.cat([sample, sample.flip(axis)], axis)
    return sample
