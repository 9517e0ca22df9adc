"""Noise of sensors and of film: photon counting with a camera's gain, banding, grain.

All take x (..., C, H, W) with a nominal range of [0, 1] and return the same shape, not clipped.
"""

import math

import torch
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.types import Level

# A common scientific CMOS camera.
GAIN, OFFSET = 2.17, 100.0  # digital units an electron, and at no light
READ_NOISE = 1.6  # electrons, one standard deviation
TOP = 2**16 - 1  # where its converter clips


def poisson_gaussian(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x as a sensor records it, offset and gain taken off again. Level: electrons at white.

    Until the converter clips, the mean is x and the variance x / level + (READ_NOISE^2 +
    1 / (12 GAIN^2)) / level^2: shot, read, rounding.
    """
    peak = random_fields.on_device(level, x)
    electrons = random_fields.poisson(x * peak, generator)
    electrons = electrons + random_fields.normal(x, generator) * READ_NOISE
    units = (electrons * GAIN + OFFSET).round().clamp(0, TOP)
    return (units - OFFSET) / (GAIN * peak)


def banding_rows(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + one N(0, (level / 255)^2) a row, shared by the row's columns and by the channels."""
    rows = random_fields.normal(x, generator, (*x.shape[:-3], 1, x.shape[-2], 1))
    return x + rows * random_fields.sigma(level, x)


def banding_columns(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + one N(0, (level / 255)^2) a column, shared by the column's rows and by the channels."""
    columns = random_fields.normal(x, generator, (*x.shape[:-3], 1, 1, x.shape[-1]))
    return x + columns * random_fields.sigma(level, x)


GRAIN_BLUR = 0.8  # pixels, sigma of the grain's shape
GRAIN_SHARED = 0.8  # share of the variance that the colours have in common
GRAIN_FLOOR = 0.1  # share of the mid-tone variance left in black and white


def grain(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """Film grain: blurred noise, strongest in the mid-tones, mostly shared by the colours.

    Variance at value x: (level / 255)^2 (0.1 + 0.9 * 4 x (1 - x)): sigma is `level` at mid-gray.
    """
    shared = random_fields.blurred_normal(x, generator, 1, GRAIN_BLUR)
    field = shared
    if x.shape[-3] > 1:
        own = random_fields.blurred_normal(x, generator, x.shape[-3], GRAIN_BLUR)
        field = math.sqrt(GRAIN_SHARED) * shared + math.sqrt(1 - GRAIN_SHARED) * own
    tone = x.clamp(0, 1)
    strength = torch.sqrt(GRAIN_FLOOR + (1 - GRAIN_FLOOR) * 4 * tone * (1 - tone))
    return x + field * strength * random_fields.sigma(level, x)
