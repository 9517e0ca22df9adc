"""How strong the noise of a page is, and of what kind; by the net itself, or classically."""

from dataclasses import replace

import torch
from torch import Tensor

from mdn.nets.unet import UNet
from mdn.pipeline import classical
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.hidden import filled
from mdn.pipeline.reading import FLOOR, OUTLIER, SOME_IMPULSES, read_noise
from mdn.pipeline.sample import known_part
from mdn.registry.model import Model


def judge_sample(
    sample: Tensor, model: Model, sigma: float | None = None, flat: Tensor | None = None
) -> NoiseConditioning:
    """The noise of the picture that a sample shows, for this model.

    sample: (C, H, W) float32, nominal range 0..1; NaN where it shows nothing.
    sigma: what the user says it is, nominal range 0..1. A net that judges the noise still says
        where there is how much of it, and of what kind.
    flat: (1, H, W) bool, areas of one value, which say nothing of the noise; None for none.
    """
    if not model.abilities.takes_sigma:
        return NoiseConditioning()
    unknown = sample.isnan().any(0, keepdim=True)
    if unknown.any():
        sample = filled(sample[None], sample[None].isnan())[0]
    if flat is not None:
        unknown = unknown | flat
    measurable = _known(sample, unknown)
    if model.abilities.judges_noise:
        return _judged(sample, unknown, measurable, model, sigma)
    if sigma is not None:
        return NoiseConditioning(sigma)
    return classical.condition(measurable, stabilise=not model.card.knows_brightness)


def _known(sample: Tensor, unknown: Tensor) -> Tensor:
    """The squares of a sample in which all is known, side by side; all of it where none is."""
    if not unknown.any():
        return sample
    part = known_part([sample.numpy()], [(~unknown[0]).numpy()])
    return sample if part is None else torch.from_numpy(part)


def _judged(
    sample: Tensor, unknown: Tensor, measurable: Tensor, model: Model, sigma: float | None
) -> NoiseConditioning:
    """By the judge inside the net; salt and pepper, which it is shown as a mask, are counted."""
    share = classical.salt_and_pepper(measurable)
    impulsive = share >= SOME_IMPULSES
    spread, at_ends = classical.usual_range(measurable, share) if impulsive else (None, False)
    assert isinstance(model.net, UNet)  # the only one that has a judge
    reading = read_noise(model.net, sample, unknown)
    outliers = reading.impulses > 0 and not impulsive  # beside salt and pepper the rest stays
    reading = replace(reading, impulses=max(reading.impulses, share if impulsive else 0.0))
    noise = NoiseConditioning(
        reading.sigma,
        impulse_spread=spread,
        impulses_at_ends=at_ends,
        # Where the net takes out nothing, not even rounding changes a sample.
        blend_weight=float(reading.noisy or outliers),
        dead_zone=0.0 if reading.noisy else OUTLIER,
        estimate=reading.estimate(),
        reading=reading,
    )
    if sigma is None:
        return noise
    gain = sigma / reading.raised
    weight = float(sigma > 0)
    return replace(
        noise,
        sigma=sigma,
        estimate=None,
        blend_weight=weight,
        dead_zone=0.0,
        gain=gain,
        floor=FLOOR,
    )
