"""Where the pixels alone leave doubt about the noise, a net that has seen photographs is asked.

The flattest places of a picture tell its noise, but not where it is texture all over, nor where a
codec or a camera left no high frequencies of the noise in flat places. There the meter says how
strong the noise is (`nets.meter`), at three scales. The finest reading is the one to trust: seen
from afar, texture is dense and passes for noise. The coarser ones tell whether neighbours share the
noise, and how it is spread over the scales, but are bounded by the finest.

The meter has seen white noise, and what codecs leave of it, but no noise that is smooth by itself,
and reads too little of that. Least in soft pictures, as cameras deliver them at their own
resolution: without noise it reads next to nothing there, so that little says much.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import torch
from torch import Tensor

from mdn.nets import meter
from mdn.noise.estimate import NoiseEstimate
from mdn.pipeline import doubt
from mdn.pipeline.classical import SCALES, condition
from mdn.pipeline.conditioning import NoiseConditioning, blend_weight
from mdn.pipeline.multiscale import downsample2
from mdn.registry import store
from mdn.registry.load import load as load_net

MODEL = "noise-meter"
WINDOW = 256  # pixels a side that are looked at together, so that memory is bounded
# Thresholds chosen on held-out training photos under many kinds of noise: see TRIALS.md.
SOFT = 4.0  # texture of the estimate from which on flat places lack high frequencies
SOFTEST = 10.0  # texture from which on the picture itself lacks them, or a codec took them
SHARED = 0.7  # reading at half the size over the finest: 0.5 for white noise, more for smooth
UNDERREAD = 1.3  # by which smooth noise is stronger than its reading..
UNDERREAD_SOFT = 1.2  # ..and in soft pictures by so much besides, 0-255 scale
CALM, SHAKEN = 0.3, 0.5  # readings of a soft picture up to which, and from which, noise is believed
# Bounds (lower, upper) of the two coarser levels over the finest: of smooth noise, and of what
# cameras and their JPEGs leave in soft pictures, which is coarser.
SMOOTH, CODED = ((0.7, 0.8), (0.2, 0.35)), ((0.8, 1.2), (0.4, 1.0))
SURE = 2.0  # texture below which the high frequencies of flat places bound white noise from above


def readings(sample: Tensor) -> tuple[float, ...]:
    """The noise of (C, H, W), nominal range [0, 1], at up to three scales, the finest first.

    0-255 scale; each scale has half the size of the one before. Fewer where it gets too small.

    Raises:
        ModelError: the meter's weights are missing or damaged.
    """
    x = sample[:3] if len(sample) >= 3 else sample[:1].expand(3, -1, -1)
    found: list[float] = []
    for _ in range(SCALES + 1):
        if min(x.shape[1:]) < _meter().smallest:
            break
        found.append(_reading(x))
        x = downsample2(x[None, :, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2])[0]
    return tuple(found)


def settled(sample: Tensor) -> tuple[NoiseEstimate, bool]:
    """The noise of (C, H, W) as a model for photos is told of it, and whether the meter was asked.

    Where the estimate looks like film grain it stands: that is nothing that the meter knows.
    """
    noise = condition(sample, stabilise=False)
    doubted = doubt.doubtful(noise, faint=True) and not doubt.grainy(noise)
    seen = asked(noise, readings(sample)).estimate if doubted else noise.estimate
    assert seen is not None
    return seen, doubted


def asked(noise: NoiseConditioning, found: tuple[float, ...]) -> NoiseConditioning:
    """What to tell after the meter has been asked: `found` are its readings of the picture."""
    seen = noise.estimate
    if seen is None or not found:
        return noise
    finest = found[0]
    soft = seen.correlated or seen.texture > SOFT
    if len(found) > SCALES and soft and found[1] > SHARED * finest:
        softest = seen.texture > SOFTEST
        levels = [finest] + [
            finest * min(max(reading / max(finest, 1e-6), low), high)
            for reading, (low, high) in zip(found[1:], CODED if softest else SMOOTH, strict=True)
        ]
        if softest:
            share = min(1.0, max(0.0, (finest - CALM) / (SHAKEN - CALM)))
            factor = (UNDERREAD * finest + UNDERREAD_SOFT) / max(finest, 1e-6) / 255
            return _changed(noise, tuple(factor * level for level in levels), share)
        scales = tuple(UNDERREAD * level / 255 for level in levels)
        return _changed(noise, scales, blend_weight(scales[0]))
    level = finest if seen.texture > SURE else min(finest, seen.level)
    if noise.stabiliser is not None and blend_weight(level / 255) > 0:
        return noise
    return _changed(noise, (level / 255,), blend_weight(level / 255))


def _changed(
    noise: NoiseConditioning, levels: tuple[float, ...], share: float
) -> NoiseConditioning:
    """NoiseConditioning of one level for white noise, or of one for each scale."""
    if share == 0:
        return doubt.nothing(noise)
    assert noise.estimate is not None
    scales = levels if len(levels) > 1 else ()
    sigma = (255 * levels[0],) * len(noise.estimate.sigma)
    smooth = noise.estimate.low_frequency_sigma * 255 * levels[0] / max(noise.estimate.level, 1e-6)
    seen = replace(noise.estimate, sigma=sigma, correlated=bool(scales), low_frequency_sigma=smooth)
    even = replace(noise, variance_curve=None, stabiliser=None)
    return replace(even, sigma=levels[0], scales=scales, blend_weight=share, estimate=seen)


@functools.cache
def _meter() -> meter.Meter:
    net = load_net(store.find(MODEL), torch.device("cpu"))
    assert isinstance(net, meter.Meter)
    return net


@torch.no_grad()
def _reading(x: Tensor) -> float:
    """Of (3, H, W), window by window."""
    parts = [
        _meter().cells(x[None, :, top : top + WINDOW, left : left + WINDOW])
        for top in _starts(x.shape[1])
        for left in _starts(x.shape[2])
    ]
    levels, trust = (
        torch.cat([part.flatten() for part in each]) for each in zip(*parts, strict=True)
    )
    return float(meter.level(meter.pooled(levels, trust)))


def _starts(length: int) -> list[int]:
    """Of windows that cover a length; the last ends where it ends."""
    if length <= WINDOW:
        return [0]
    return [*range(0, length - WINDOW, WINDOW), length - WINDOW]
