"""Noise of one picture that the net was not trained on, described by a few numbers each.

Sought are drift of the lines, sine waves over the picture, places in 2 x 2 pixels and patches whose
samples hold no picture, noise so coarse that only smaller pictures show it, and the brightness that
speckle loses at white. Each counts only where what one part of the picture says of it holds in
another: in other blocks, in samples that were hidden, in the other half of the samples. The net
itself is frozen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdn.engine.run import Encode
from mdn.noise.analysis import blotches, clouds, dither, phases, shifts, waves
from mdn.noise.analysis.banding import Banding
from mdn.noise.analysis.curve import Curve
from mdn.noise.analysis.shifts import Shift
from mdn.pipeline import destripe
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.multiscale import downsample2
from mdn.pipeline.options import Options
from mdn.pipeline.specialist import specialist
from mdn.registry.model import Model
from mdn.zeroshot.crop import CELL, Crop, middle, remaining_error
from mdn.zeroshot.hidden_samples import generator_of

WINDOW = 512  # pixels a side of what is looked at, from the middle of the picture
MOST_WAVES = 3
DITHERED = 0.41  # deviation of dither over its step: sqrt(1 / 6), if all fractions are as frequent
TEXTURE = 4.0 / 255  # sigma below which what is read beside interpolated samples is no noise
HIDDEN = 0.25  # share of the pixels that are guessed from the others
ALIKE = 1.3  # ratio of what two halves of the samples say


@dataclass(frozen=True)
class NoiseFit:
    """What was found, to be used for the picture itself or for others of its kind."""

    drift: bool = False  # whether the brightness of the lines drifts
    # of waves; their strength and phase are each picture's own
    frequencies: tuple[tuple[float, float], ...] = ()
    # for each channel the places in 2 x 2 pixels that are interpolated, nested; empty for none
    places: tuple[tuple[tuple[bool, ...], ...], ...] = ()
    blotches: bool = False  # whether black and white patches are rebuilt
    halvings: int = 0  # how many smaller pictures are denoised first
    looks: float = 0.0  # of speckle; 0 for none
    rician: float = 0.0  # sigma of Rician noise; 0 for none
    dither: float = 0.0  # distance of the levels between which samples were dithered; 0 for none
    curve: Curve | None = None  # that goes with them, on the brightness of what the net makes
    counts: bool = False  # whether a gray picture as shown is read as counted light
    gain: float = 0.0  # dB, estimated from what the fit changes; 0 where nothing was found
    seconds: float = field(default=0.0, compare=False)  # that it took

    @property
    def found(self) -> bool:
        """Whether there is anything to do that the plain pass does not."""
        return bool(self.in_words())

    def in_words(self) -> list[str]:
        """What is fitted."""
        words = ["lines whose brightness drifts"] if self.drift else []
        for frequency in self.frequencies:
            words.append(f"stripes every {1 / math.hypot(*frequency):.3g} pixels")
        if self.places:
            count = sum(flag for channel in self.places for row in channel for flag in row)
            words.append(f"{count} of {4 * len(self.places)} places of a mosaic interpolated")
        if self.blotches:
            words.append("black and white patches rebuilt")
        if self.halvings:
            words.append(f"clouds of colour, removed first at 1/{2**self.halvings} of the size")
        if self.counts:
            words.append("read as counted light, as of a microscope")
        if self.looks:
            words.append(f"speckle of {self.looks:.2g} looks, brightness lost at white")
        if self.rician:
            words.append(f"Rician noise of sigma {255 * self.rician:.2g}, dark places darkened")
        if self.dither:
            words.append(f"dither in steps of {255 * self.dither:.2g}")
        return words


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

    def window(bands: Banding | None) -> Tensor:
        values = destripe.without(page, encode, bands, rows, columns)
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))

    seen = window(bands)
    if not model.abilities.takes_sigma or min(seen.shape[1:]) < 2 * CELL:
        return Fitted(NoiseFit(), model, noise, bands)
    options = replace(options, passes=1, detail=0.0, strength=1.0, with_std=False)
    crop = Crop(seen, model, options)
    plain, clean = bands, noise.reading is not None and noise.reading.clean
    if known.drift if known is not None else not clean:
        bands = destripe.add_drift(page, encode, bands, known=known is not None)
    drifts = bands is not plain
    steady = window(bands) if drifts else seen
    x, found = _without_waves(steady, noise, known)
    if found and known is None and _coarse_noise(judge_sample(x, model)):
        x, found = (
            steady,
            [],
        )  # a camera smooths its noise, and would have smoothed the wave: stairs
    step = dither.step(x) if known is None else known.dither
    fitted = replace(
        judge_sample(x, model, DITHERED * step) if step else noise,
        places=_places(crop, x, noise) if known is None else _tensor(known.places),
        blotches=blotches.present(x) if known is None else known.blotches,
    )
    if drifts or found or fitted.places is not None or fitted.blotches:
        fitted = _read_again(x, fitted, model, noisy=drifts)
    halvings = clouds.halvings(x) if known is None else known.halvings
    if fitted.places is not None or noise.scales:
        halvings = 0
    fitted = replace(fitted, coarse=_coarse(x, model, halvings))
    fit = NoiseFit(
        drifts,
        tuple(wave.frequency for wave in found),
        () if fitted.places is None else _nested(fitted.places),
        fitted.blotches,
        halvings,
        dither=step,
    )
    if known is not None:
        fit = replace(fit, looks=known.looks, rician=known.rician, curve=known.curve)
    elif (found_shift := _shift(crop, x, fitted)) is not None:
        shift, curve = found_shift
        amounts: dict[str, Any] = {shift.family.name: shift.amount}
        fit = replace(fit, **amounts, curve=curve)
    fitted = replace(fitted, curve=fit.curve)
    if fit.found:
        before, after = crop.denoised(seen, noise), crop.denoised(x, fitted)
        if noise.free is not None:
            stays = torch.from_numpy(noise.free[rows, columns])[crop.rows, crop.columns]
            before = torch.where(stays, crop.of(seen), before)
        rest = remaining_error(fitted) + crop.rebuilt(x, fitted)
        if drifts:  # as much again is too slow to be told from the picture
            rest += float((steady - seen).square().mean())
        changed = float((before - after).square().mean())
        fit = replace(fit, gain=10 * math.log10(1 + changed / rest))
    offset = tuple(wave.moved(rows.start, columns.start) for wave in found)
    if offset:
        bands = replace(bands or Banding(), waves=offset)
    fit = replace(fit, seconds=time.monotonic() - begun)
    return Fitted(fit, specialist(model, fitted), fitted, bands)


def _without_waves(
    x: Tensor, noise: NoiseConditioning, known: NoiseFit | None
) -> tuple[Tensor, list[waves.Wave]]:
    """The window without waves, and these; its first pixel is their (0, 0)."""
    if noise.reading is not None and noise.reading.clean:
        return x, []  # a grating is a picture where there is no noise
    found: list[waves.Wave] = []
    sought: Sequence[tuple[float, float] | None] = [None] * MOST_WAVES
    for frequency in sought if known is None else known.frequencies:
        wave = waves.find(x, frequency)
        if wave is None:
            break
        lines = Banding(waves=(wave,))
        x = lines.removed(x, *(torch.arange(length) for length in x.shape[1:]))
        found.append(wave)
    return x, found


def _places(crop: Crop, x: Tensor, noise: NoiseConditioning) -> Tensor | None:
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


def _read_again(
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


def _coarse(x: Tensor, model: Model, halvings: int) -> NoiseConditioning | None:
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


def _shift(crop: Crop, x: Tensor, noise: NoiseConditioning) -> tuple[Shift, Curve] | None:
    """Noise that shifts the mean, if both halves of the samples show the same; what mends it."""
    if noise.places is not None or noise.coarse is not None or _coarse_noise(noise):
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


def _coarse_noise(noise: NoiseConditioning) -> bool:
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


def _nested(places: Tensor) -> tuple[tuple[tuple[bool, ...], ...], ...]:
    return tuple(tuple(tuple(row) for row in channel) for channel in places.tolist())


def _tensor(places: tuple[tuple[tuple[bool, ...], ...], ...]) -> Tensor | None:
    return torch.tensor(places) if places else None
