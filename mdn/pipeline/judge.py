"""How strong the noise of a page is, and of what kind; by the net itself, or classically."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from mdn.engine.run import Encode
from mdn.noise.analysis.banding import Banding
from mdn.pipeline import classical
from mdn.pipeline.conditioning import NoiseConditioning, blend_weight
from mdn.pipeline.exact import noise_free
from mdn.pipeline.options import Options
from mdn.pipeline.reading import SOME_IMPULSES, NoiseReading, read_noise
from mdn.pipeline.sample import sample_for_estimation
from mdn.pipeline.second_look import chooser
from mdn.pipeline.specialist import reader
from mdn.registry.model import Model


def judge(
    page: np.ndarray,
    encode: Encode,
    bands: Banding | None,
    model: Model,
    options: Options,
    opaque: np.ndarray | None = None,
) -> NoiseConditioning:
    """The noise of a page, for this model.

    Args:
        page: (H, W, C) as stored.
        encode: stored samples to the nominal range 0..1.
        bands: of the page, to be left out.
        opaque: (H, W) bool, where it can be seen; everywhere, if None.
    """
    if not model.abilities.takes_sigma:
        return NoiseConditioning()
    if options.sigma is not None and not model.abilities.judges_noise:
        return NoiseConditioning(options.sigma)
    sample = sample_for_estimation(page, encode, bands, opaque)
    noise = judge_sample(sample, model, options.sigma)
    if noise.estimate is None or noise.reading is None or noise.reading.clean or bands is not None:
        return noise
    free = noise_free(page, noise.sigma)
    if not free.any():
        return noise
    if free.all():
        reading = noise.reading.without_noise()
        noise = replace(noise, blend_weight=0.0, reading=reading, estimate=reading.estimate())
    return replace(noise, free=free)


def judge_sample(
    sample: Tensor,
    model: Model,
    sigma: float | None = None,
    *,
    noisy: bool = False,
) -> NoiseConditioning:
    """As `judge`, from a sample (C, H, W) alone: of a plane that is too large to be in memory.

    sigma: what the user says it is, nominal range 0..1. A net that judges the noise still says
        where there is how much of it, and of what kind.
    noisy: whether there is known to be noise, so that it is not to be taken for texture.
    """
    if model.abilities.judges_noise:
        return _judged(sample, model, sigma, noisy or sigma is not None)
    if sigma is not None:
        return NoiseConditioning(sigma)
    return classical.condition(sample, stabilise=not model.card.knows_brightness)


def _judged(sample: Tensor, model: Model, sigma: float | None, noisy: bool) -> NoiseConditioning:
    """By the judge inside the net; impulses, which it does not see, are counted."""
    share = classical.salt_and_pepper(sample)
    impulsive = share >= SOME_IMPULSES
    spread, at_ends = classical.usual_range(sample, share) if impulsive else (None, False)
    reading = read_noise(reader(model), sample, chooser(model))
    reading = replace(reading, impulses=share if impulsive else 0.0)
    if reading.better_left and not noisy:
        reading = replace(reading.without_noise(), texture=reading.sigma)
    found = reading.sigma if sigma is None else sigma
    return NoiseConditioning(
        found,
        impulse_spread=spread,
        impulses_at_ends=at_ends,
        blend_weight=_weight(reading, found, noisy, at_ends),
        estimate=reading.estimate() if sigma is None else None,
        reading=reading,
        gain=1.0 if sigma is None else sigma / reading.sigma,
    )


def _weight(reading: NoiseReading, sigma: float, noisy: bool, marked: bool) -> float:
    """How far the net is followed: less in faint noise, or as a gate has learnt.

    marked: whether every impulse is, so that nothing of them is left to the net.
    """
    weight = blend_weight(sigma)
    # What is left beside impulses is often nothing, and a gate knows little of such pictures.
    if not reading.choice or marked:
        return weight
    if reading.impulses:
        return max(weight, reading.share)
    return float(weight > 0) * (1.0 if noisy else reading.share)
