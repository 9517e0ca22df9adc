"""How strong the noise of a page is, and of what kind: by the net itself, or by statistics."""

from dataclasses import replace

import torch
from torch import Tensor

from mdn.nets.unet import UNet
from mdn.noise.analysis import impulses
from mdn.noise.analysis.brightness import stabiliser
from mdn.noise.analysis.estimate import SMALLEST_SIDE, NoiseEstimate, estimate
from mdn.pipeline.conditioning import NoiseConditioning, blend_weight
from mdn.pipeline.hidden import filled
from mdn.pipeline.reading import FLOOR, OUTLIER, SOME_IMPULSES, read_noise
from mdn.pipeline.sample import known_part, mirrored
from mdn.registry.model import Model

SALT = 2.0  # times as much of salt as of pepper, or the reverse, is no longer both; and so many
# times their share are the most black and white samples that are put down to them


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
    return by_statistics(measurable, stabilise=not model.card.knows_brightness)


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
    share = salt_and_pepper(measurable)
    impulsive = share >= SOME_IMPULSES
    spread, at_ends = usual_range(measurable, share) if impulsive else (None, False)
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


def by_statistics(sample: Tensor, *, stabilise: bool = True) -> NoiseConditioning:
    """By statistics of the pixels, for a net that has no judge.

    stabilise: make noise that depends on brightness equally strong, for a net that never saw such,
        instead of telling how strong it is where.
    """
    estimate = estimate_noise(sample)
    spread, at_ends = None, False
    if estimate.impulsive:
        spread, at_ends = usual_range(sample, estimate.impulses)
    sigma, curve, even = estimate.sigma, None, None
    if estimate.signal_dependent and not estimate.correlated:
        if stabilise:
            even = stabiliser(*estimate.curve)
            sigma = even.level
        elif sigma > 0:
            curve = tuple(factor / sigma**2 for factor in estimate.curve)
    weight = blend_weight(sigma)
    return NoiseConditioning(sigma, curve, even, spread, at_ends, weight, estimate)


def salt_and_pepper(sample: Tensor) -> float:
    """Share of the samples of (C, H, W) that are salt or pepper; 0 where other things stand out.

    There are about as many of both. Thin lines, stars and what a codec cuts off are at one end
    alone.
    """
    if not ((sample == 0).any() and (sample == 1).any()):
        return 0.0  # most pictures: the counts take far longer than this look
    known = [shares for plane in sample if (shares := impulses.salt_and_pepper(plane))]
    if not known:
        return 0.0
    salt, pepper = (sum(column) / len(known) for column in zip(*known, strict=True))
    return salt + pepper if max(salt, pepper) < SALT * min(salt, pepper) else 0.0


def usual_range(sample: Tensor, share: float) -> tuple[float, bool]:
    """What to find impulses by, in a picture that holds such a share of them.

    Returns:
        How far apart neighbours usually lie, and whether every lonely black or white sample is an
        impulse as well.
    """
    spread = max(impulses.typical_range(plane) for plane in mirrored(sample, SMALLEST_SIDE))
    # Strong noise that was cut off at black and white leaves many more such samples.
    return spread, float(impulses.ends(sample).float().mean()) < SALT * share


def estimate_noise(sample: Tensor) -> NoiseEstimate:
    """The noise of a sample (C, H, W) of any size, nominal range [0, 1]."""
    return estimate(mirrored(sample, SMALLEST_SIDE))
