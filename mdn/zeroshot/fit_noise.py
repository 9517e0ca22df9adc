"""Noise of one picture that the net was not trained on, described by a few numbers each.

Sought are stripes of one period, places in 2 x 2 pixels whose samples hold no picture, the steps of
dither, and the brightness that speckle loses at white and Rician noise gains at black. Each counts
only where what one part of the picture says of it holds in another: in other blocks, in samples
that were hidden, in the other half of the samples. The net itself is frozen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdn.engine.run import Encode
from mdn.noise.analysis.banding import Banding
from mdn.noise.analysis.waves import Wave
from mdn.pipeline import destripe
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.options import Options
from mdn.pipeline.specialist import specialist
from mdn.registry.model import Model
from mdn.zeroshot import dither, stripes
from mdn.zeroshot.crop import CELL, Crop, is_coarse, middle, remaining_error
from mdn.zeroshot.mosaic import find_places, read_again
from mdn.zeroshot.noise_fit import NoiseFit
from mdn.zeroshot.speckle import find_shift

WINDOW = 512  # pixels a side of what is looked at, from the middle of the picture
MOST_WAVES = 3


@dataclass(frozen=True)
class Fitted:
    """A fit, and what follows from it for one picture: see Adapter."""

    fit: NoiseFit
    model: Model
    noise: NoiseConditioning
    bands: Banding | None


def fit_noise(
    page: np.ndarray,
    encode: Encode,
    bands: Banding | None,
    noise: NoiseConditioning,
    model: Model,
    options: Options,
    known: NoiseFit | None = None,
) -> Fitted:
    """Look at a page (H, W, C) as stored for noise that the model's judge does not know.

    Args:
        bands, noise: what was found of it.
        known: the fit of another picture of this kind: nothing is tested then, and only what
            differs from picture to picture is measured.
    """
    begun = time.monotonic()
    rows, columns = (middle(length, WINDOW) for length in page.shape[:2])

    values = destripe.without(page, encode, bands, rows, columns)
    seen = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
    if not model.abilities.takes_sigma or min(seen.shape[1:]) < 2 * CELL:
        return Fitted(NoiseFit(), model, noise, bands)
    options = replace(options, passes=1, detail=0.0, strength=1.0, with_std=False)
    crop = Crop(seen, model, options)
    x, found = _without_waves(seen, noise, known)
    if found and known is None and is_coarse(judge_sample(x, model)):
        # A camera smooths its noise, and would have smoothed the wave: stairs.
        x, found = seen, []
    step = dither.step(x) if known is None else known.dither
    fitted = replace(
        judge_sample(x, model, dither.DEVIATION * step) if step else noise,
        places=find_places(crop, x, noise) if known is None else _tensor(known.places),
    )
    if found or fitted.places is not None:
        fitted = read_again(x, fitted, model)
    fit = NoiseFit(
        tuple(wave.frequency for wave in found),
        () if fitted.places is None else _nested(fitted.places),
        dither=step,
    )
    if known is not None:
        fit = replace(fit, looks=known.looks, rician=known.rician, curve=known.curve)
    elif (found_shift := find_shift(crop, x, fitted)) is not None:
        shift, curve = found_shift
        amounts: dict[str, Any] = {shift.family.name: shift.amount}
        fit = replace(fit, **amounts, curve=curve)
    fitted = replace(fitted, curve=fit.curve)
    if fit.found:
        before, after = crop.denoised(seen, noise), crop.denoised(x, fitted)
        changed = float((before - after).square().mean())
        fit = replace(fit, gain=10 * math.log10(1 + changed / remaining_error(fitted)))
    offset = tuple(wave.moved(rows.start, columns.start) for wave in found)
    if offset:
        bands = replace(bands or Banding(), waves=offset)
    fit = replace(fit, seconds=time.monotonic() - begun)
    return Fitted(fit, specialist(model, fitted), fitted, bands)


def _without_waves(
    x: Tensor, noise: NoiseConditioning, known: NoiseFit | None
) -> tuple[Tensor, list[Wave]]:
    """The window without waves, and these; its first pixel is their (0, 0)."""
    if noise.reading is not None and noise.reading.clean:
        return x, []  # a grating is a picture where there is no noise
    found: list[Wave] = []
    sought: Sequence[tuple[float, float] | None] = [None] * MOST_WAVES
    for frequency in sought if known is None else known.frequencies:
        wave = stripes.find(x, frequency)
        if wave is None:
            break
        lines = Banding(waves=(wave,))
        x = lines.removed(x, *(torch.arange(length) for length in x.shape[1:]))
        found.append(wave)
    return x, found


def _nested(places: Tensor) -> tuple[tuple[tuple[bool, ...], ...], ...]:
    return tuple(tuple(tuple(row) for row in channel) for channel in places.tolist())


def _tensor(places: tuple[tuple[tuple[bool, ...], ...], ...]) -> Tensor | None:
    return torch.tensor(places) if places else None
