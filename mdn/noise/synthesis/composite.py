"""Noises made of several steps: mixtures, JPEG after noise, Monte Carlo fireflies.

All take x (..., C, H, W) with a nominal range of [0, 1] and return the same shape, not clipped.
"""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mdn.noise.synthesis import basic, random_fields
from mdn.noise.synthesis.random_fields import Level


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
    shot = basic.poisson(x, 0.75 + 0.25 * k, generator) - x
    y = basic.speckle(x, 0.004 + 0.002 * k, generator) + shot
    y = basic.gaussian(y, 8 + 2 * k, generator)
    y = basic.spatial(y, 15 + 5 * k, generator)
    return basic.salt_pepper(y, 0.002 * k, generator)


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
    return jpeg(basic.gaussian(x, level, generator), JPEG_QUALITY)


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
