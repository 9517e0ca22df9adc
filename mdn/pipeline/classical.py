"""The noise by statistics of the pixels; for nets that have a judge, the impulses alone."""

from torch import Tensor

from mdn.noise.analysis import autocorrelation, impulses
from mdn.noise.analysis.brightness import stabiliser
from mdn.noise.analysis.estimate import SMALLEST_SIDE, NoiseEstimate, estimate, is_clipped
from mdn.pipeline.conditioning import NoiseConditioning, blend_weight
from mdn.pipeline.multiscale import downsample2, upsample2
from mdn.pipeline.sample import mirrored

SALT = 2.0  # times as much of salt as of pepper, or the reverse, is no longer both; and so many
# times their share are the most black and white samples that are put down to them
SCALES = 2  # halvings
FALLEN = 0.75  # of smoothed, grainy, striped and camera noise on training photos: 0.69 to 0.86
SMALLEST = 64  # pixels a side: what a halved sample must still have to be measured


def condition(sample: Tensor, *, stabilise: bool = True) -> NoiseConditioning:
    """The noise of the picture that `sample` (C, H, W) shows, nominal range 0..1, for a net.

    stabilise: make noise that depends on brightness equally strong, for a net that never saw such,
        instead of telling how strong it is where.
    """
    found = estimate_noise(sample)
    spread, at_ends = None, False
    if found.impulsive:
        spread, at_ends = usual_range(sample, found.impulses)
    sigma, curve, even = found.sigma, None, None
    if found.signal_dependent and not found.correlated:
        if stabilise:
            even = stabiliser(*found.curve)
            sigma = even.level
        elif sigma > 0:
            curve = tuple(factor / sigma**2 for factor in found.curve)
    # Impulses, and the texture around them, pass for noise that neighbours share.
    scales: tuple[float, ...] = ()
    if found.correlated and not found.impulsive:
        scales = sigma_by_scale(sample, found.low_frequency_sigma)
    weight = blend_weight(sigma)
    return NoiseConditioning(sigma, curve, even, spread, at_ends, scales, weight, found)


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


def sigma_by_scale(sample: Tensor, smooth: float) -> tuple[float, ...]:
    """Standard deviation of the noise that is left to each scale, the finest first.

    Args:
        sample: (C, H, W), nominal range [0, 1], of the picture.
        smooth: deviation of the white noise that has as much power at the lowest frequencies.

    Returns:
        Up to SCALES figures for what halving and doubling loses at that scale, and one for the
        coarsest; nothing where the sample is too small or nowhere flat.
    """
    x, levels = sample[None], []
    for _ in range(SCALES):
        height, width = (length // 2 * 2 for length in x.shape[2:])
        x = x[..., :height, :width]
        if min(height, width) < 2 * SMALLEST:
            break
        coarse = downsample2(x)
        clipped = is_clipped(x[0])
        rest = x - upsample2(coarse)
        power = [
            autocorrelation.power_in_flat(plane, other, clipped)
            for plane, other in zip(x[0], rest[0], strict=True)
        ]
        levels.append(_root_mean(power))
        x = coarse
    # So far down hardly anything is flat, and what is measured may be picture. But means of 2^n
    # pixels have 1/2^n of the coarse noise, and somewhat less, as its power falls off.
    bound = FALLEN * smooth / 2 ** len(levels)
    last = [autocorrelation.measure(plane, is_clipped(plane)) for plane in x[0]]
    measured = _root_mean([found.variance if found else None for found in last])
    levels.append(min(measured, bound) if measured else bound)
    return tuple(levels) if len(levels) > 1 and min(levels) > 0 else ()


def _root_mean(power: list[float | None]) -> float:
    known = [value for value in power if value is not None]
    return (sum(known) / len(known)) ** 0.5 if known else 0.0
