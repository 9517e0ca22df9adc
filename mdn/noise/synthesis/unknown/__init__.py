"""Noises that no model is trained on: what a denoiser does with them is what it does in the wild.

Kinds of `mdn noise` like all others, but marked `held_out`: a training recipe that names one is
refused, and `mdn bench --noise unknown` measures on all of them.
"""

from __future__ import annotations

from mdn.noise.synthesis.types import NoiseType
from mdn.noise.synthesis.unknown import digital, instruments, patterns, samples

UNKNOWN: tuple[NoiseType, ...] = (
    instruments.RICIAN,
    instruments.SPECKLE_GAMMA,
    instruments.ELECTRON,
    samples.LAPLACE,
    samples.UNIFORM,
    patterns.STRIPES,
    patterns.COLOUR_BLOTCHES,
    patterns.IMPULSE_BLOTCHES,
    digital.RAW_MOSAIC,
    digital.DITHER,
)

SUITE: tuple[tuple[str, float], ...] = (
    ("rician", 25),
    ("speckle-gamma", 16),
    ("speckle-gamma", 4),
    ("speckle-gamma", 1),
    ("electron", 30),
    ("laplace", 25),
    ("uniform", 25),
    ("stripes", 25),
    ("colour-blotches", 20),
    ("impulse-blotches", 0.02),
    ("raw-mosaic", 40),
    ("dither", 3),
)
"""Every kind once at its usual strength; multiplicative gamma at 16, 4 and 1 looks."""
