"""The five noises of the masked-training tests (Chen et al., CVPR 2023, section 4).

All take x (..., C, H, W) with a nominal range of [0, 1] and return the same shape, not clipped.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.types import Level, NoiseType

# --- Gaussian ---------------------------------------------------------------------------------


def gaussian(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + N(0, (level / 255)^2), independent in every sample. Level: sigma on the 0-255 scale."""
    return x + random_fields.normal(x, generator) * random_fields.sigma(level, x)


def gaussian_gray(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """As `gaussian`, with one noise field shared by all channels (brightness noise only)."""
    field = random_fields.normal(x, generator, (*x.shape[:-3], 1, *x.shape[-2:]))
    return x + field * random_fields.sigma(level, x)


# --- Poisson ----------------------------------------------------------------------------------


def distinct_values(x: Tensor) -> int:
    """How many different values x holds, on the finest grid of 8 or 16 bits that fits all of x.

    Values on neither grid (float pictures, resampled training crops) are counted on the 8-bit one:
    nearly every float differs from every other, and their number would say nothing about x.
    """
    for top in (255, 65535):
        steps = torch.nan_to_num(x) * top
        nearest = steps.round()
        # float32 holds n / top to a relative 6e-8: 0.004 steps at worst on the 16-bit grid.
        if bool(((steps - nearest).abs() < 0.02).all()):
            break
    else:
        nearest, top = (torch.nan_to_num(x) * 255).round(), 255
    codes = nearest.clamp(0, top).to(torch.int64).flatten()
    return int((torch.bincount(codes, minlength=top + 1) > 0).sum())


def poisson_scale(x: Tensor) -> float:
    """V = 2^ceil(log2 n) for n distinct values: the photons that a sample of value 1 stands for."""
    return 2.0 ** math.ceil(math.log2(max(distinct_values(x), 1)))


def poisson(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + level (Poisson(x V) / V - x): mean x, variance level^2 x / V, V of `poisson_scale`.

    V is counted over all of x. A batch of crops has one V, so that a crop of clear sky, which has
    few distinct values of its own, gets no more noise than its picture would.
    """
    scale = poisson_scale(x)
    clean = x.clamp(min=0)
    shot = random_fields.poisson(clean * scale, generator) / scale - clean
    return x + random_fields.on_device(level, x) * shot


# --- Speckle ----------------------------------------------------------------------------------


def speckle(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + x u with u uniform, mean 0, variance `level` (the definition of MATLAB's imnoise)."""
    u = (random_fields.uniform(x, generator) - 0.5) * torch.sqrt(
        12 * random_fields.on_device(level, x)
    )
    return x + x * u


def speckle_normal(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + x u with u normal, mean 0, variance `level` (scikit-image's definition)."""
    return x + x * random_fields.normal(x, generator) * torch.sqrt(
        random_fields.on_device(level, x)
    )


# --- Spatially correlated ---------------------------------------------------------------------


def spatial(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """Gaussian noise of sigma `level` / 255 passed through a 3x3 mean, within each channel.

    The result has sigma level / 3. Boundary: the noise is drawn one pixel larger on every side and
    only the mean's valid part is kept, so that the border is as noisy as the middle.
    """
    height, width = x.shape[-2:]
    field = random_fields.normal(x, generator, (*x.shape[:-2], height + 2, width + 2))
    field = F.avg_pool2d(field.reshape(-1, 1, height + 2, width + 2), 3, stride=1)
    return x + field.reshape(x.shape) * random_fields.sigma(level, x)


# --- Salt and pepper --------------------------------------------------------------------------


def salt_pepper(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """A share `level` of the samples (not pixels) becomes 0 or 1, either with half the chance."""
    share = random_fields.on_device(level, x)
    u = random_fields.uniform(x, generator)
    dead = torch.where(u < share / 2, torch.zeros_like(x), torch.ones_like(x))
    return torch.where(u < share, dead, x)


GAUSSIAN = NoiseType(
    name="gaussian",
    title="Gaussian (white) noise",
    levels=(15, 25, 50),
    default=25,
    explanation=(
        "Adds an independent normal random number to every sample, equally strong in dark and "
        "bright places. The standard test of denoisers. The level is the standard deviation on the "
        "0-255 scale, whatever the picture's own depth."
    ),
    function=gaussian,
)

GAUSSIAN_GRAY = NoiseType(
    name="gaussian-gray",
    title="Gaussian noise, equal in all channels",
    levels=(15, 25, 50),
    default=25,
    explanation=(
        "Gaussian noise with the same random number in red, green and blue: it changes brightness "
        "and leaves colour alone. A denoiser that averages across the colours gains nothing here."
    ),
    function=gaussian_gray,
)

POISSON = NoiseType(
    name="poisson",
    title="Poisson (photon) noise",
    parameter="alpha",
    unit="multiple of the photon noise",
    levels=(2, 2.5, 3, 3.5),
    default=2,
    limits=(0, 20),
    explanation=(
        "The noise of counting photons: its variance grows with brightness. A white sample stands "
        "for V photons, V being the number of distinct values in the picture rounded up to a power "
        "of two (256 for most 8-bit photos). The level multiplies the noise, 1 being the real one."
    ),
    function=poisson,
)

SPECKLE = NoiseType(
    name="speckle",
    title="Speckle noise, uniform",
    parameter="v",
    unit="variance relative to the value",
    levels=(0.018, 0.024, 0.03, 0.036, 0.04),
    default=0.03,
    limits=(0, 4),
    explanation=(
        "Multiplies every sample by a random factor near 1, as in radar and ultrasound pictures: "
        "black stays black, white suffers most. The factor is uniform with variance v."
    ),
    function=speckle,
)

SPECKLE_NORMAL = NoiseType(
    name="speckle-normal",
    title="Speckle noise, normal",
    parameter="v",
    unit="variance relative to the value",
    levels=(0.018, 0.024, 0.03, 0.036, 0.04),
    default=0.03,
    limits=(0, 4),
    explanation=(
        "Speckle whose random factor is normal instead of uniform, with variance v. It is equally "
        "strong on average, but now and then a sample is far off."
    ),
    function=speckle_normal,
)

SPATIAL = NoiseType(
    name="spatial",
    title="Spatially correlated Gaussian noise",
    unit="0-255 scale, before the 3x3 mean",
    levels=(40, 45, 50, 55, 60),
    default=50,
    limits=(0, 765),
    explanation=(
        "Gaussian noise smoothed by a 3x3 mean within each channel, as demosaicing and scaling "
        "leave behind: blotches instead of grains. The level is sigma before the mean; what "
        "remains in the picture is a third of it."
    ),
    function=spatial,
)

SALT_PEPPER = NoiseType(
    name="salt-pepper",
    title="Salt and pepper noise",
    parameter="d",
    unit="share of the samples, 0 to 1",
    levels=(0.002, 0.004, 0.008, 0.012, 0.016, 0.02),
    default=0.01,
    limits=(0, 1),
    explanation=(
        "A share d of the samples becomes black or white with equal chance, each channel on its "
        "own, as with dead sensor cells and transmission errors. All other samples stay untouched."
    ),
    function=salt_pepper,
)
