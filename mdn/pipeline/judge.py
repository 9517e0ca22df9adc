"""How strong the noise of a page is, and of what kind; by the net itself, or classically."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from mdn.pipeline import classical
from mdn.pipeline.conditioning import NoiseConditioning, blend_weight
from mdn.pipeline.reading import SOME_IMPULSES, NoiseReading, read_noise
from mdn.pipeline.second_look import chooser
from mdn.pipeline.specialist import reader
from mdn.registry.model import Model

LEAST = 1e-4  # sigma that a reading is taken for at least, to be scaled to one that was given


def judge_sample(
    sample: Tensor,
    model: Model,
    sigma: float | None = None,
    *,
    noisy: bool = False,
) -> NoiseConditioning:
    """The noise of the picture that a sample shows, for this model.

    sample: (C, H, W) float32, nominal range 0..1, finite.
    sigma: what the user says it is, nominal range 0..1. A net that judges the noise still says
        where there is how much of it, and of what kind.
    noisy: whether there is known to be noise, so that it is not to be taken for texture.
    """
    if not model.abilities.takes_sigma:
        return NoiseConditioning()
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
        gain=1.0 if sigma is None else sigma / max(reading.sigma, LEAST),
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
