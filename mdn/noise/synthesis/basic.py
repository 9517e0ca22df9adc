"""The noises of the masked-training tests (Chen et al., CVPR 2023, section 4), and their kin; then
those of sensors and of film: photon counting with a camera's gain, banding, grain; and those of
several steps.

All take x (..., C, H, W) with a nominal range of [0, 1] and return the same shape, not clipped.
"""

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mdn.noise.synthesis import random_fields
from mdn.noise.synthesis.random_fields import Level


def gaussian(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x + N(0, (level / 255)^2), independent in every sample. Level: sigma on the 0-255 scale."""
    return x + random_fields.normal(x, generator) * random_fields.sigma(level, x)


def gaussian_gray(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """As `gaussian`, with one noise field shared by all channels (brightness noise only)."""
    field = random_fields.normal(x, generator, (*x.shape[:-3], 1, *x.shape[-2:]))
    return x + field * random_fields.sigma(level, x)


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


def poisson(
    x: Tensor, level: Level, generator: torch.Generator, peak: float | None = None
) -> Tensor:
    """x + level (Poisson(x V) / V - x): mean x, variance level^2 x / V, V of `poisson_scale`.

    peak: V. Where it is None, V is counted over all of x. A batch of crops has one V, so that a
    crop of clear sky, which has few distinct values of its own, gets no more noise than its picture
    would.
    """
    scale = poisson_scale(x) if peak is None else peak
    clean = x.clamp(min=0)
    shot = random_fields.poisson(clean * scale, generator) / scale - clean
    return x + random_fields.on_device(level, x) * shot


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


def spatial(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """Gaussian noise of sigma `level` / 255 passed through a 3x3 mean, within each channel.

    The result has sigma level / 3. Boundary: the noise is drawn one pixel larger on every side and
    only the mean's valid part is kept, so that the border is as noisy as the middle.
    """
    height, width = x.shape[-2:]
    field = random_fields.normal(x, generator, (*x.shape[:-2], height + 2, width + 2))
    field = F.avg_pool2d(field.reshape(-1, 1, height + 2, width + 2), 3, stride=1)
    return x + field.reshape(x.shape) * random_fields.sigma(level, x)


FILTER_WIDTHS = 0.4, 2.0  # deviation of the filter of `correlated`, pixels


def correlated(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """Gaussian noise of sigma `level` / 255 after a Gaussian filter of random width.

    The width is drawn evenly by its logarithm from 0.4 to 2 pixels, for each picture; channels are
    independent.
    """
    pictures = x.reshape(-1, *x.shape[-3:])
    low, high = FILTER_WIDTHS
    widths = low * (high / low) ** random_fields.uniform(pictures, generator, (len(pictures),))
    fields = [
        random_fields.blurred_normal(picture, generator, len(picture), width)
        for picture, width in zip(pictures, widths.tolist(), strict=True)
    ]
    return x + torch.stack(fields).reshape(x.shape) * random_fields.sigma(level, x)


def salt_pepper(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """A share `level` of the samples (not pixels) becomes 0 or 1, either with half the chance."""
    share = random_fields.on_device(level, x)
    u = random_fields.uniform(x, generator)
    dead = torch.where(u < share / 2, torch.zeros_like(x), torch.ones_like(x))
    return torch.where(u < share, dead, x)


# --- sensors and film ----------------------------------------------------------------------------

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


# --- of several steps: mixtures, JPEG after noise, Monte Carlo fireflies -----------------------


def mixture(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """Five noises one after the other. With k the level, 1 to 5, fractions allowed:

    1. speckle           v     = 0.004 + 0.002 k
    2. poisson           alpha = 0.75 + 0.25 k
    3. gaussian          sigma = 8 + 2 k
    4. spatial           sigma = 15 + 5 k
    5. salt-pepper       d     = 0.002 k

    Chen et al. (CVPR 2023) test on such levels without publishing theirs; these are our own.
    V of the Poisson step is that of x, not of the speckled picture.
    """
    k = random_fields.on_device(level, x)
    shot = poisson(x, 0.75 + 0.25 * k, generator) - x
    y = speckle(x, 0.004 + 0.002 * k, generator) + shot
    y = gaussian(y, 8 + 2 * k, generator)
    y = spatial(y, 15 + 5 * k, generator)
    return salt_pepper(y, 0.002 * k, generator)


def _through_jpeg(picture: np.ndarray, quality: int, halved: bool) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8, encoded and decoded again."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality, subsampling=2 if halved else 0)
    return np.asarray(Image.open(stream))


def jpeg(x: Tensor, quality: Level, *, halved: bool = True) -> Tensor:
    """x with the artefacts of a JPEG of this quality (1 to 100); no randomness.

    The codec sees x clipped and rounded to 8 bits; what it changes there is added to x, so that
    finer depth and values outside [0, 1] live on. RGB is coded as colour, else channel by channel.
    quality: one number, or a tensor with one for each picture.
    halved: colours at half resolution, as most programs have it.
    """
    pictures = x.reshape(-1, *x.shape[-3:])
    if pictures.shape[1] != 3:
        pictures = pictures.reshape(-1, 1, *x.shape[-2:])
    coded = torch.nan_to_num(pictures.detach()).clamp(0, 1).mul(255).round().to(torch.uint8)
    planes = coded.permute(0, 2, 3, 1).squeeze(-1).cpu().numpy()
    quality_of = (
        torch.as_tensor(quality, dtype=torch.float32).flatten().cpu().round().to(torch.int64)
    )
    qualities = quality_of.repeat_interleave(len(planes) // quality_of.numel()).tolist()
    decoded = np.stack(
        [_through_jpeg(p, int(q), halved) for p, q in zip(planes, qualities, strict=True)]
    )
    change = torch.from_numpy(decoded.astype(np.int16) - planes.astype(np.int16))
    change = change.reshape(len(planes), *x.shape[-2:], -1).permute(0, 3, 1, 2)
    return x + change.reshape(x.shape).to(x) / 255


JPEG_QUALITY = 75  # what most programs choose by default


def gaussian_jpeg(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """Gaussian noise of sigma `level` / 255, then JPEG at quality 75."""
    return jpeg(gaussian(x, level, generator), JPEG_QUALITY)


def jpeg_only(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """JPEG at quality `level`. The generator is not used: the codec draws nothing."""
    del generator
    return jpeg(x, level)


EASY_VARIANCE = 1.0  # of one sample of the easy light, relative to its squared mean
HARD_LIGHT = 0.1  # share of the light that comes by paths which are hard to find
HARD_CHANCE = 0.002  # chance that one sample finds such a path
TAIL = 2.5  # Pareto exponent of a find's brightness: finite variance, infinite third moment


def fireflies(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """A path tracer's picture at `level` samples a pixel: unbiased, with rare, very bright pixels.

    A pixel's easy light (90 %) has a gamma-distributed factor of variance 1 / n. Its hard light
    (10 %) arrives by N ~ Poisson(0.002 n) finds, each worth 1 / (0.002 n) times a Pareto brightness
    of mean 1. One factor serves all channels, so fireflies carry the colour of what they light.
    """
    samples = random_fields.on_device(level, x)
    shape = (*x.shape[:-3], 1, *x.shape[-2:])
    lamps = torch.ones(shape, device=x.device) * samples
    easy = random_fields.gamma(lamps / EASY_VARIANCE, generator) * (EASY_VARIANCE / lamps)
    expected = lamps * HARD_CHANCE
    finds = random_fields.poisson(expected, generator)
    # 1 - u lies in (0, 1], so the power stays finite.
    spread = (1 - random_fields.uniform(x, generator, shape)) ** (-1 / TAIL) * ((TAIL - 1) / TAIL)
    hard = finds * spread / expected
    return x * ((1 - HARD_LIGHT) * easy + HARD_LIGHT * hard)
