"""Noise of instruments that are no cameras: magnetic resonance, radar, electron microscopes.

x (..., C, H, W) with a nominal range of [0, 1] in, the same shape out, not clipped.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.types import Level, NoiseType

# --- Magnetic resonance -----------------------------------------------------------------------


def rician(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """|x + n|, n complex normal of standard deviation level / 255 in each part.

    The magnitude picture of an MRI scanner (Gudbjartsson, Patz, Magn. Reson. Med. 1995). Its second
    moment is x^2 + 2 sigma^2: dark places come out too bright, by sigma sqrt(pi / 2) where x is 0.
    """
    sigma = random_fields.sigma(level, x)
    real = x + sigma * random_fields.normal(x, generator)
    return torch.hypot(real, sigma * random_fields.normal(x, generator))


# --- Radar and ultrasound ---------------------------------------------------------------------


def speckle_gamma(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x times Gamma(L, 1 / L): mean x, variance x^2 / L. Level: L, the looks that were averaged.

    Fully developed speckle of intensity pictures (Goodman, J. Opt. Soc. Am. 1976); L = 1 is the
    exponential distribution of a single look.
    """
    looks = random_fields.on_device(level, x).expand(x.shape)
    return x * random_fields.gamma(looks, generator) / looks


# --- Electron microscopes ---------------------------------------------------------------------

DETECTOR_BLUR = 0.7  # pixels, sigma of the spot that one electron makes on the detector
DRIFT = 0.25  # standard deviation of the drift, over 1 / sqrt(electrons at white)
DRIFT_MEMORY = 0.9  # correlation of one scan line's drift with the next one's


def electron(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x as a scanned picture of few electrons shows it. Level: electrons a pixel at white, d.

    The shot noise Poisson(x d) / d - x is blurred by the detector's spot, and the brightness of the
    scan lines wanders (a first-order autoregression of standard deviation 0.25 / sqrt(d), the same
    in all channels). The picture's own detail is not blurred: an error against x is noise alone.
    """
    dose = random_fields.on_device(level, x)
    spot = random_fields.gaussian_taps(DETECTOR_BLUR)
    rate = _padded(x.clamp(min=0), len(spot) // 2)
    shot = random_fields.poisson(rate * dose, generator) / dose - rate
    lines = (*x.shape[:-3], 1, x.shape[-2], 1)
    drift = _wander(random_fields.normal(x, generator, lines)) * (DRIFT / dose.sqrt())
    return x + random_fields.blurred(shot, spot) + drift


def _padded(x: Tensor, radius: int) -> Tensor:
    """x (..., H, W) with its border repeated `radius` pixels outwards."""
    flat = x.reshape(-1, 1, *x.shape[-2:])
    wide = F.pad(flat, (radius, radius, radius, radius), mode="replicate")
    return wide.reshape(*x.shape[:-2], *wide.shape[-2:])


def _wander(steps: Tensor) -> Tensor:
    """Independent normal steps (..., H, 1) -> AR(1) along H, with variance 1 from the first on."""
    fresh = math.sqrt(1 - DRIFT_MEMORY**2)
    rows = [steps[..., 0, :]]
    for step in steps.unbind(-2)[1:]:
        rows.append(DRIFT_MEMORY * rows[-1] + fresh * step)
    return torch.stack(rows, -2)


RICIAN = NoiseType(
    name="rician",
    title="Rician noise (MRI)",
    levels=(10, 25, 40),
    default=25,
    explanation=(
        "Magnitude pictures of magnetic resonance: normal noise in the real and in the imaginary "
        "part, of which only the length is kept. Nearly normal in bright places; in dark ones "
        "skewed, and brighter than the truth. The level is the deviation in either part."
    ),
    example="mdn noise scan.png -o noisy.png --type rician --level 25",
    function=rician,
    held_out=True,
)

SPECKLE_GAMMA = NoiseType(
    name="speckle-gamma",
    title="Multiplicative gamma noise (radar, ultrasound)",
    parameter="L",
    unit="looks",
    levels=(16, 8, 4, 2, 1),
    default=4,
    limits=(0.5, 1000),
    explanation=(
        "Speckle of coherent imaging: every sample is multiplied by a gamma-distributed number of "
        "mean 1 and variance 1 / L. The level is the number of looks that were averaged, so "
        "smaller is noisier; 1 is a single look of a radar."
    ),
    example="mdn noise radar.png -o noisy.png --type speckle-gamma --level 4",
    function=speckle_gamma,
    held_out=True,
)

ELECTRON = NoiseType(
    name="electron",
    title="Low-dose electron microscopy",
    parameter="d",
    unit="electrons a pixel at white",
    levels=(100, 30, 10),
    default=30,
    limits=(1, 100000),
    explanation=(
        "A scanning electron microscope that spares its specimen: few electrons, so photon-like "
        "counting noise; a detector that spreads each of them over its neighbours; and scan lines "
        "whose brightness drifts slowly. Smaller levels are noisier."
    ),
    example="mdn noise specimen.png -o noisy.png --type electron --level 30",
    function=electron,
    held_out=True,
)
