"""What the judge and the net's answers say of noise that the net was not trained on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mdn.noise.analysis import blotches, phases, shifts
from mdn.noise.analysis.curve import Curve
from mdn.noise.analysis.shifts import Shift
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.multiscale import downsample2
from mdn.registry.model import Model
from mdn.zeroshot.crop import Crop
from mdn.zeroshot.hidden_samples import generator_of

TEXTURE = 4.0 / 255  # sigma below which what is read beside interpolated samples is no noise
HIDDEN = 0.25  # share of the pixels that are guessed from the others
ALIKE = 1.3  # ratio of what two halves of the samples say


def find_places(crop: Crop, x: Tensor, noise: NoiseConditioning) -> Tensor | None:
    """The places in 2 x 2 pixels that are better interpolated from the others; None for none.

    The others are nearly free of noise, and show the error of denoising.
    """
    if len(x) != 3 or (noise.reading is not None and noise.reading.clean):
        return None  # a raw file's one plane, or a halftone
    places = phases.excess(x) > 0
    if not places.any() or not phases.fillable(places):
        return None
    error, seen = phases.fill_error(x, places), crop.of(x)
    if error is None:
        return None
    good = ~phases.spread(places, [(0, 0)], seen.shape[1:])[0]
    denoised = (crop.denoised(x, noise) - seen).square()[good]
    return places if error < float(denoised.mean()) else None


def read_again(
    x: Tensor, noise: NoiseConditioning, model: Model, *, noisy: bool = False
) -> NoiseConditioning:
    """The noise of a picture without its broken places and patches; noisy: that it surely has."""
    if noise.places is not None:
        x = phases.filled(x[None], noise.places, [(0, 0)])[0]
    if noise.blotches:
        black, white = blotches.marks(x[None])
        x = _filled(x, (black | white)[0].expand_as(x))
    found = judge_sample(x, model, noisy=noisy)
    weight = found.blend_weight
    if noise.places is not None and found.sigma < TEXTURE:
        weight = 0.0  # the picture's own texture, and interpolated samples, which are smooth
    return replace(found, places=noise.places, blotches=noise.blotches, blend_weight=weight)


def coarse_noise(x: Tensor, model: Model, halvings: int) -> NoiseConditioning | None:
    """The noise of the picture at half its size, and in it that of each smaller one."""
    readings: list[NoiseConditioning] = []
    for _ in range(halvings):
        height, width = (side // 2 * 2 for side in x.shape[1:])
        x = downsample2(x[None, :, :height, :width])[0]
        readings.append(judge_sample(x, model, noisy=True))
    result = None
    for each in reversed(readings):
        result = replace(each, coarse=result)
    return result


def find_shift(crop: Crop, x: Tensor, noise: NoiseConditioning) -> tuple[Shift, Curve] | None:
    """Noise that shifts the mean, if both halves of the samples show the same; what mends it."""
    if noise.places is not None or noise.coarse is not None or is_coarse(noise):
        return None  # the samples of a processed picture are not distributed as a sensor's
    denoised, noisy = crop.denoised(x, noise), crop.of(x)
    found = shifts.find(noisy, denoised)
    if found is None:
        return None
    halves = [shifts.find(noisy[:, i::2], denoised[:, i::2]) for i in (0, 1)]
    known = [each.amount for each in halves if each and each.family is found.family]
    if len(known) < 2 or max(known) > ALIKE * min(known):
        return None
    hidden = torch.rand(noisy[:1].shape, generator=generator_of(crop.options.seed)) < HIDDEN
    guess, hidden = crop.guess(x, noise, hidden), hidden.expand_as(noisy)
    return found, shifts.curve(found, noisy[hidden], denoised[hidden], guess[hidden])


def is_coarse(noise: NoiseConditioning) -> bool:
    return noise.reading is not None and noise.reading.coarse


def _filled(x: Tensor, broken: Tensor) -> Tensor:
    """(C, H, W) where broken samples are the mean of the good ones around them."""
    kept, near = (~broken).float(), x
    for side in (3, 7, 15):
        pool = torch.nn.AvgPool2d(side, 1, side // 2, count_include_pad=False)
        weight = pool(kept)
        near = torch.where((kept == 0) & (weight > 0), pool(x * kept) / weight.clamp(min=1e-6), x)
        x, kept = near, ((kept > 0) | (weight > 0)).float()
    return x
