"""Noises that no model is trained on: what a denoiser does with them is what it does in the wild.

Kinds of `mdn noise` like all others, but marked `held_out`: a training recipe that names one is
refused, and `mdn bench --noise unknown` measures on all of them.

All take x (..., C, H, W) with a nominal range of [0, 1] and return the same shape, not clipped.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.development import bayer_masks
from mdn.noise.synthesis.random_fields import Level

# --- instruments that are no cameras: magnetic resonance, radar, electron microscopes ------------


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


# --- white noise whose distribution is not normal: long tails, or none ---------------------------


def laplace(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + Laplace noise of standard deviation level / 255: scale b = sigma / sqrt(2)."""
    u = random_fields.uniform(x, generator) - 0.5
    # The inverse distribution function; |u| < 1/2 keeps the logarithm finite.
    magnitude = -torch.log1p(-2 * u.abs().clamp(max=0.5 - 1e-7))
    scale = random_fields.sigma(level, x) / math.sqrt(2)
    return x + u.sign() * magnitude * scale


def uniform(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + uniform noise of standard deviation level / 255: half width sqrt(3) sigma."""
    u = 2 * random_fields.uniform(x, generator) - 1
    return x + u * (math.sqrt(3) * random_fields.on_device(level, x) / 255)


# --- noise with a shape: stripes, large blotches of colour, blotches of black and white ----------

SHORTEST, LONGEST = 3.0, 16.0  # period of the stripes, pixels


def stripes(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + a sine wave + white normal noise, each with half the variance (level / 255)^2.

    Period (3 to 16 pixels, evenly by its logarithm), direction and phase are drawn for each
    picture; all channels share the wave. Electrical interference looks like this.
    """
    u = random_fields.uniform(x, generator, (3, *x.shape[:-3], 1, 1, 1))
    frequency = 1 / (SHORTEST * (LONGEST / SHORTEST) ** u[0])
    angle, phase = math.pi * u[1], 2 * math.pi * u[2]
    rows = torch.arange(x.shape[-2], device=x.device)[:, None]
    columns = torch.arange(x.shape[-1], device=x.device)[None]
    along = rows * torch.sin(angle) + columns * torch.cos(angle)
    wave = math.sqrt(2) * torch.sin(2 * math.pi * frequency * along + phase)
    both = (wave + random_fields.normal(x, generator)) / math.sqrt(2)
    return x + both * random_fields.sigma(level, x)


COLOUR_BLUR = 4.0  # pixels, sigma of the blotches' shape; training goes to 2
COMMON_REMOVED = 0.7  # share of the channels' mean that is taken out of the noise


def colour_blotches(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + blurred normal noise (Gaussian of 4 pixels) of standard deviation level / 255, coloured.

    70 % of what the channels have in common is taken out, so that between two of three channels
    the correlation is -0.44 and the blotches are more of colour than of brightness.
    """
    channels = x.shape[-3]
    field = random_fields.blurred_normal(x, generator, channels, COLOUR_BLUR)
    if channels > 1:
        removed = COMMON_REMOVED * (2 - COMMON_REMOVED) / channels
        field = field - COMMON_REMOVED * field.mean(-3, keepdim=True)
        field = field / math.sqrt(1 - removed)
    return x + field * random_fields.sigma(level, x)


IMPULSE_BLUR = 1.5  # pixels, sigma of the field whose extremes become blotches


def impulse_blotches(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """A share `level` of the pixels becomes 0 or 1 in all channels, in patches, not one by one.

    White where a blurred normal field of variance 1 lies above its quantile 1 - level / 2, black
    where it lies below -1 times that.
    """
    field = random_fields.blurred_normal(x, generator, 1, IMPULSE_BLUR)
    share = random_fields.on_device(level, x)
    threshold = torch.special.ndtri(1 - share / 2)  # infinite at 0: no pixel changes
    whitened = torch.where(field > threshold, torch.ones_like(x), x)
    return torch.where(field < -threshold, torch.zeros_like(x), whitened)


# --- digital pictures before or without processing: a raw mosaic, and few grey levels ------------

GAINS = (2.0, 1.0, 1.6)  # white balance of red, green and blue
SHOT_SHARE = 0.8  # of the green variance at mid-gray; the rest is read noise


def raw_mosaic(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + the noise of a white-balanced Bayer mosaic (RGGB) that was not demosaiced.

    With s = level / 255 and g the gain of a cell's colour, a cell of value x has the variance
    s^2 (1.6 g x + 0.2 g^2): s^2 for green at mid-gray. In RGB pictures a cell's noise is in the
    channel of its colour, and the other two of that pixel have none; pictures of another number of
    channels take the pattern of the gains in all channels.
    """
    cells = bayer_masks(*x.shape[-2:]).to(x.device)
    gains = torch.tensor(GAINS, device=x.device).view(3, 1, 1)
    if x.shape[-3] != 3:
        gains = (cells * gains).sum(0, keepdim=True)
        cells = cells.sum(0, keepdim=True)
    shot = 2 * SHOT_SHARE * gains * x.clamp(min=0)
    deviation = (shot + (1 - SHOT_SHARE) * gains**2).sqrt()
    return x + random_fields.normal(x, generator) * deviation * cells * random_fields.sigma(
        level, x
    )


def dither(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x rounded to 2^level values, after uniform noise of one step was added. Level: bits.

    Random dither: the mean is x exactly, the variance step^2 f (1 - f) where x lies a share f of a
    step above a value that can be stored. Values beyond [0, 1] are rounded to the same grid.
    """
    steps = 2 ** random_fields.on_device(level, x) - 1
    return torch.floor(x * steps + random_fields.uniform(x, generator)) / steps
