"""Doubting an estimate: a net that is told of more noise than there is does not find it.

Where a picture is texture all over, no statistic of its pixels tells fine texture from noise; a net
that has learnt photographs does. At the true level it takes out nearly all of the noise: what it
takes is as strong as the noise, less its own error. Of texture that passed for noise it takes half
or less. So what it takes from parts of the picture bounds the level from above, and the level is
lowered until it is believed. Where that errs nothing much is lost: a net that takes little out
could not have gained much either.

Texture passes for smooth noise most easily. But noise is everywhere, and nowhere is it as bare as
where the picture is flat: there the net takes all of it, and elsewhere not much less. Of texture it
takes more where there is more, and little where the picture is flat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mdn.pipeline.conditioning import NoiseConditioning, blend_weight

TEXTURED = 1.4  # low over high frequency energy in the flattest places: below, there is no doubt
FOUND = 0.58  # share of the told deviation that a net takes out where it is believed..
TAKEN = 0.72  # ..and usually takes out at the true level
# Without power at coarse scales, and not the same in all channels: that is mostly noise, of which
# one that a net never saw, such as film grain, is not found well either.
COARSE, COLOUR, LIKELY = 1.0, 0.36, 0.38
GRAINY = 0.8  # such power below which hardly any texture lies
GRAY_SURE = 6.0  # in gray pictures colour tells nothing: a level that texture hardly passes for
# What the net takes from blocks of this side: the middle one's over the strongest, and the flattest
# tenth's over the level, and half of how much of its channels' own the noise is: above 1.6 for
# smooth noise, and 0.8 to 1.4 for texture.
BLOCK, FLATTEST, EVEN = 16, 0.1, 1.4
GRAY, EVEN_GRAY = 0.05, 1.1
ENDS = 0.06  # of the range
ROUNDS = 8
PARTS, SIDE = 3, 96  # windows along each side, and pixels of theirs; a multiple of 4


def doubtful(noise: NoiseConditioning, *, faint: bool = False) -> bool:
    """Whether the picture leaves room for doubt; with `faint`, also where little was seen."""
    seen = noise.estimate
    if seen is None or noise.impulse_spread is not None:
        return False
    if noise.blend_weight < 1 and faint:
        return True
    return noise.blend_weight > 0 and (seen.correlated or seen.texture > TEXTURED)


def grainy(noise: NoiseConditioning) -> bool:
    """Whether neighbours share it, with as little power at coarse scales as film grain has."""
    seen = noise.estimate
    if seen is None or not seen.correlated or seen.coarse is None or seen.colour is None:
        return False
    sure = seen.level > GRAY_SURE if seen.colour < GRAY else seen.colour > COLOUR
    return seen.coarse < GRAINY and sure


def believed(
    noise: NoiseConditioning, taken: Callable[[NoiseConditioning], float]
) -> NoiseConditioning:
    """The same, weakened until the net finds what it is told of.

    taken: root mean square of what the net takes out of parts of the picture, nominal range [0, 1].
    """
    assert noise.estimate is not None
    level = noise.estimate.level / 255
    coarse, colour = noise.estimate.coarse, noise.estimate.colour
    likely = coarse is not None and colour is not None and coarse < COARSE and colour > COLOUR
    for _ in range(ROUNDS):
        share = taken(noise) / level
        if share >= (LIKELY if likely else FOUND):
            break
        factor = share / TAKEN
        level *= factor
        noise = replace(
            noise,
            sigma=noise.sigma * factor,
            scales=tuple(each * factor for each in noise.scales),
            blend_weight=blend_weight(noise.sigma * factor),
        )
        if noise.blend_weight == 0:
            break
    return noise


def uneven(noise: NoiseConditioning, parts: list[np.ndarray], changes: list[np.ndarray]) -> bool:
    """Whether what was taken for smooth noise lies where the picture has texture.

    parts: windows (h, w, C) of the picture, nominal range [0, 1].
    changes: what denoising changes in each.
    """
    assert noise.estimate is not None
    if not noise.scales:
        return False
    clean = [part + change for part, change in zip(parts, changes, strict=True)]
    mean, square = (np.concatenate([_means(each**k) for each in clean]) for k in (1, 2))
    # Near black and white, clipping has taken the noise.
    whole = ((mean > ENDS) & (mean < 1 - ENDS)).all(1)
    if whole.sum() < 1 / FLATTEST:
        return False
    taken = np.concatenate([_means(change**2).mean(1) for change in changes])[whole] ** 0.5
    busy = (square - mean**2).mean(1)[whole]
    flat = taken[busy <= np.quantile(busy, FLATTEST)].mean()
    median, most = np.quantile(taken, [0.5, 0.95])
    even = median / max(most, 1e-9) + 255 * flat / noise.estimate.level
    colour = noise.estimate.colour
    if colour is None or colour < GRAY:  # one channel, or equal ones: there is nothing to learn
        return bool(even < EVEN_GRAY)
    return bool(even + colour / 2 < EVEN)


def nothing(noise: NoiseConditioning) -> NoiseConditioning:
    """The same without any noise."""
    seen = noise.estimate
    if seen is not None:
        none = (0.0,) * len(seen.sigma)
        seen = replace(seen, sigma=none, correlated=False, signal_dependent=False)
    return replace(noise, sigma=0.0, scales=(), blend_weight=0.0, estimate=seen)


def _means(values: np.ndarray) -> np.ndarray:
    """Of (h, w, C) over whole blocks: (blocks, C)."""
    down, across = (length // BLOCK for length in values.shape[:2])
    whole = values[: down * BLOCK, : across * BLOCK]
    cut = whole.reshape(down, BLOCK, across, BLOCK, values.shape[2])
    return cut.mean((1, 3)).reshape(-1, values.shape[2])


def windows(height: int, width: int) -> list[tuple[slice, slice]]:
    """Parts spread over a picture, all of it where it is small."""
    return [(rows, columns) for rows in _spans(height) for columns in _spans(width)]


def _spans(length: int) -> list[slice]:
    if length <= SIDE:
        return [slice(0, length)]
    count = min(PARTS, -(-length // SIDE))
    starts = np.linspace(0, length - SIDE, count).round().astype(int)
    return [slice(int(start), int(start) + SIDE) for start in starts]
