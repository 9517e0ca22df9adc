"""How strong the noise of a page is, and of what kind; by the net itself, or classically."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from mdn.nets.unet import UNet
from mdn.pipeline import classical
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.reading import FLOOR, SOME_IMPULSES, read_noise
from mdn.registry.model import Model


def judge_sample(sample: Tensor, model: Model, sigma: float | None = None) -> NoiseConditioning:
    """The noise of the picture that a sample shows, for this model.

    sample: (C, H, W) float32, nominal range 0..1, finite.
    sigma: what the user says it is, nominal range 0..1. A net that judges the noise still says
        where there is how much of it, and of what kind.
    """
    if not model.abilities.takes_sigma:
        return NoiseConditioning()
    if model.abilities.judges_noise:
        return _judged(sample, model, sigma)
    if sigma is not None:
        return NoiseConditioning(sigma)
    return classical.condition(sample, stabilise=not model.card.knows_brightness)


def _judged(sample: Tensor, model: Model, sigma: float | None) -> NoiseConditioning:
    """By the judge inside the net; impulses, which it does not see, are counted."""
    share = classical.salt_and_pepper(sample)
    impulsive = share >= SOME_IMPULSES
    spread, at_ends = classical.usual_range(sample, share) if impulsive else (None, False)
    assert isinstance(model.net, UNet)  # the only one that has a judge
    reading = read_noise(model.net, sample)
    reading = replace(reading, impulses=share if impulsive else 0.0)
    noise = NoiseConditioning(
        reading.sigma,
        impulse_spread=spread,
        impulses_at_ends=at_ends,
        # Where the map is nothing anywhere, not even rounding changes a sample.
        blend_weight=float(reading.noisy),
        estimate=reading.estimate(),
        reading=reading,
    )
    if sigma is None:
        return noise
    gain = sigma / reading.raised
    weight = float(sigma > 0)
    return replace(noise, sigma=sigma, estimate=None, blend_weight=weight, gain=gain, floor=FLOOR)
