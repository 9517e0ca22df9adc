"""Noise of sensors and of film: photon counting with a camera's gain, banding, grain.

All take x (..., C, H, W) with a nominal range of [0, 1] and return the same shape, not clipped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mdn.errors import UsageError
from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.types import Level, NoiseType

# --- Poisson-Gaussian -------------------------------------------------------------------------


@dataclass(frozen=True)
class Sensor:
    """A camera that counts electrons. The defaults are those of a common scientific CMOS camera.

    gain: digital units an electron; offset: digital units at no light; read_noise: electrons, one
    standard deviation; bits: depth of the converter, which clips at 0 and at 2^bits - 1.
    """

    gain: float = 2.17
    offset: float = 100.0
    read_noise: float = 1.6
    bits: int = 16

    def __post_init__(self) -> None:
        fits = 1 <= self.bits <= 24 and 0 <= self.offset < 2**self.bits
        if not fits or self.gain <= 0 or self.read_noise < 0:
            raise UsageError(
                f"no such sensor: {self}; gain must be positive, read_noise 0 or more, "
                "bits 1 to 24 and offset within the bits"
            )


def expose(x: Tensor, photons: Level, sensor: Sensor, generator: torch.Generator) -> Tensor:
    """x as the sensor records it, offset and gain taken off again, on the scale of x.

    photons: electrons that a sample of value 1 gives. Until the converter clips, the mean is x and
    the variance x / photons + (read_noise^2 + 1 / (12 gain^2)) / photons^2: shot, read, rounding.
    """
    peak = random_fields.on_device(photons, x)
    electrons = random_fields.poisson(x * peak, generator)
    electrons = electrons + random_fields.normal(x, generator) * sensor.read_noise
    units = (electrons * sensor.gain + sensor.offset).round().clamp(0, 2**sensor.bits - 1)
    return (units - sensor.offset) / (sensor.gain * peak)


def poisson_gaussian(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """`expose` with the default sensor. Level: electrons at white; fewer is noisier."""
    return expose(x, level, Sensor(), generator)


# --- Banding ----------------------------------------------------------------------------------


def banding_rows(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + one N(0, (level / 255)^2) a row, shared by the row's columns and by the channels."""
    rows = random_fields.normal(x, generator, (*x.shape[:-3], 1, x.shape[-2], 1))
    return x + rows * random_fields.sigma(level, x)


def banding_columns(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + one N(0, (level / 255)^2) a column, shared by the column's rows and by the channels."""
    columns = random_fields.normal(x, generator, (*x.shape[:-3], 1, 1, x.shape[-1]))
    return x + columns * random_fields.sigma(level, x)


# --- Film grain -------------------------------------------------------------------------------

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


POISSON_GAUSSIAN = NoiseType(
    name="poisson-gaussian",
    title="Poisson-Gaussian noise of a sensor",
    parameter="photons",
    unit="electrons at white",
    levels=(1000, 300, 100, 30, 10),
    default=100,
    limits=(0.5, 30000),
    explanation=(
        "What a microscope's or camera's sensor records: photon noise, read noise of 1.6 "
        "electrons, a gain of 2.17 units an electron, an offset of 100 and a 16-bit converter. The "
        "level is the number of electrons at white, so smaller is noisier."
    ),
    example="mdn noise cells.tif -o noisy.tif --type poisson-gaussian --level 30",
    function=poisson_gaussian,
)

BANDING_ROWS = NoiseType(
    name="banding-rows",
    title="Row banding",
    levels=(5, 10, 20),
    default=10,
    explanation=(
        "Shifts each row of pixels by a normal random number, the same in all its columns and "
        "colours, as the read-out of a sensor does at high ISO. It shows as horizontal stripes."
    ),
    function=banding_rows,
)

BANDING_COLUMNS = NoiseType(
    name="banding-columns",
    title="Column banding",
    levels=(5, 10, 20),
    default=10,
    explanation=(
        "Shifts each column of pixels by a normal random number, the same in all its rows and "
        "colours, as column amplifiers of a sensor do. It shows as vertical stripes."
    ),
    function=banding_columns,
)

GRAIN = NoiseType(
    name="grain",
    title="Film grain",
    unit="0-255 scale, at mid-gray",
    levels=(5, 10, 20, 30),
    default=15,
    explanation=(
        "Grain of photographic film: small soft blobs, strongest in the mid-tones, weak in black "
        "and white, and mostly the same in the three colours. The level is the standard deviation "
        "at mid-gray."
    ),
    function=grain,
)
