"""Noise of instruments that are no cameras: magnetic resonance, radar, electron microscopes.

x (..., C, H, W) with a nominal range of [0, 1] in, the same shape out, not clipped.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.types import Level


def rician(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """|x + n|, n complex normal of standard deviation level / 255 in each part.

    The magnitude picture of an MRI scanner (Gudbjartsson, Patz, Magn. Reson. Med. 1995). Its second
    moment is x^2 + 2 sigma^2: dark places come out too bright, by sigma sqrt(pi / 2) where x is 0.
    """
    sigma = random_fields.sigma(level, x)
    real = x + sigma * random_fields.normal(x, generator)
    return torch.hypot(real, sigma * random_fields.normal(x, generator))


def speckle_gamma(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x times Gamma(L, 1 / L): mean x, variance x^2 / L. Level: L, the looks that were averaged.

    Fully developed speckle of intensity pictures (Goodman, J. Opt. Soc. Am. 1976); L = 1 is the
    exponential distribution of a single look.
    """
    looks = random_fields.on_device(level, x).expand(x.shape)
    return x * random_fields.gamma(looks, generator) / looks


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
