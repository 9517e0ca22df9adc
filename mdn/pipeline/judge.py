"""What a net is to be told of the noise of a page: the one place that decides it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from mdn.engine.run import Encode
from mdn.noise.banding import Banding
from mdn.noise.estimate import NoiseEstimate
from mdn.pipeline import classical, destripe, doubt, metered
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.multiscale import denoise_multiscale
from mdn.pipeline.options import Options
from mdn.pipeline.sample import sample_for_estimation
from mdn.registry.model import Model


def judge(
    page: np.ndarray, encode: Encode, bands: Banding | None, model: Model, options: Options
) -> NoiseConditioning:
    """The noise of a page, for this model.

    Args:
        page: (H, W, C) as stored.
        encode: stored samples to the nominal range 0..1.
        bands: of the page, to be left out.

    Raises:
        ModelError: the weights of the net that is asked are missing or damaged.
    """
    if not model.abilities.takes_sigma:
        return NoiseConditioning()
    if options.sigma is not None:
        return NoiseConditioning(options.sigma)
    sample = sample_for_estimation(page, encode, bands)
    noise = judge_sample(sample, model)
    if not doubt.doubtful(noise, faint=model.card.knows_several):
        return noise
    # The meter is asked for a net that has seen several kinds of noise, as the meter has. One that
    # stands for a single kind is not helped so: its own answer is looked at.
    if not model.card.knows_several:
        return _believed(noise, page, encode, bands, model, options)
    found = metered.asked(noise, metered.readings(sample))
    if doubt.grainy(noise):  # film grain is nothing that the meter knows
        believed = _believed(noise, page, encode, bands, model, options)
        found = max(found, believed, key=lambda each: each.blend_weight * each.sigma)
    return found


def judge_sample(sample: Tensor, model: Model, sigma: float | None = None) -> NoiseConditioning:
    """As `judge`, from a sample (C, H, W) alone: of a plane that is too large to be in memory.

    sigma: what the user says it is, nominal range 0..1.
    """
    if sigma is not None:
        return NoiseConditioning(sigma)
    return classical.condition(sample, stabilise=not model.card.knows_brightness)


def estimate_noise(sample: Tensor) -> tuple[NoiseEstimate, bool]:
    """The noise of a photograph's sample (C, H, W), nominal range 0..1, as a net is told of it.

    Returns:
        The estimate, and whether a net had a say in it, since texture or a codec hides the noise.
    """
    return metered.settled(sample)


def _believed(
    noise: NoiseConditioning,
    page: np.ndarray,
    encode: Encode,
    bands: Banding | None,
    model: Model,
    options: Options,
) -> NoiseConditioning:
    """The same, weakened until the net finds such noise in parts of the page; see `doubt`."""
    plain = replace(options, detail=0.0, strength=1.0, passes=1, with_std=False)
    parts = [
        destripe.without(page, encode, bands, rows, columns)
        for rows, columns in doubt.windows(*page.shape[:2])
    ]

    def changes(noise: NoiseConditioning) -> list[np.ndarray]:
        return [denoise_multiscale(part, noise, model, plain) - part for part in parts]

    def taken(each: NoiseConditioning) -> float:
        found = first if each is noise else changes(each)
        return float(np.concatenate([c.ravel() for c in found]).std())

    first = changes(noise)
    if doubt.uneven(noise, parts, first):
        return doubt.nothing(noise)
    return doubt.believed(noise, taken)
