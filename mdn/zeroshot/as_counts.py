"""Whether a gray picture as shown is better read as counted light: a microscope's, mostly.

Both readings are tried on a crop in which some samples were replaced: by a guess that does not see
them, and the noise of another sample. So neither knows their own noise, and which comes nearer to
the samples themselves comes nearer to the truth.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import torch

from mdn.encoding import Display
from mdn.noise.analysis.correlation_length import BLOCK
from mdn.pipeline.calibration import calibrate
from mdn.pipeline.in_memory import Picture, restore_counts, restore_page
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.models import Models
from mdn.zeroshot.crop import Crop, remaining_error
from mdn.zeroshot.hidden_samples import generator_of
from mdn.zeroshot.noise_fit import NoiseFit

REPLACED = 0.1  # share of the samples
# Shares of the samples at black and at white: more than that were cut off, and only who takes the
# picture as it is shown knows that their mean is not the truth.
CUT = 0.02, 0.005
SURE = 3.0  # standard errors that the better one must be better by


def find(page: np.ndarray, coding: Display, models: Models) -> tuple[NoiseFit, str] | None:
    """That counts are better, and the noise in words; None where that is not sure.

    page: (H, W, 1) as stored.
    """
    begun = time.monotonic()
    display = models.load()
    options = replace(
        models.options(), passes=1, detail=0.0, strength=1.0, with_std=False, sigma=None
    )
    if not display.abilities.judges_noise or min(page.shape[:2]) < BLOCK:
        return None
    whole = torch.from_numpy(coding.encode(page).transpose(2, 0, 1))
    crop = Crop(whole, display, options)
    x = crop.of(whole).contiguous()
    if (x <= 0).float().mean() > CUT[0] or (x >= 1).float().mean() > CUT[1]:
        return None
    noise = judge_sample(x, display)
    reading = noise.reading
    if reading is None or reading.clean:
        return None
    part = page[crop.rows, crop.columns, 0]
    plane = part.shape, lambda top, bottom, left, right: part[top:bottom, left:right]
    calibration = calibrate([plane], page.dtype)
    curve = calibration.coding.curve
    if curve is None or curve.gain <= 0:
        return None  # counts are noisier where there are more of them
    if calibration.spacing > 1:
        return None  # where neighbours share noise, they would give it away
    replaced = torch.rand(x.shape, generator=generator_of(options.seed)) < REPLACED
    own, guess = x[replaced], crop.guess(whole, noise, replaced)[replaced]
    order = guess.argsort()  # the next one in brightness has noise as strong
    drawn = torch.empty_like(guess)
    drawn[order] = guess[order] + (own - guess)[order].roll(1)
    values = x.masked_scatter(replaced, drawn.clamp(0, 1)).permute(1, 2, 0).numpy()
    stored = coding.decode(values)
    shown = restore_page(stored, display, options).pixels
    counted = restore_counts(
        Picture(stored[None]), models.load("counts"), models.options("counts")
    )[0]
    errors = [
        (torch.from_numpy(coding.encode(y)).permute(2, 0, 1)[replaced] - own).square()
        for y in (shown, counted)
    ]
    better = errors[0] - errors[1]
    mean, spread = float(better.mean()), float(better.std()) / len(better) ** 0.5
    if mean <= SURE * spread:
        return None
    gained = 10 * math.log10(1 + mean / remaining_error(noise))
    found = NoiseFit(counts=True, gain=gained, seconds=time.monotonic() - begun)
    return found, reading.in_words()
