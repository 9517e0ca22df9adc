"""A whole camera: from the finished picture back to raw light, noise there, and forth again.

The way, each step drawn anew for each picture: unprocess (Brooks et al., "Unprocessing images for
learned raw denoising", CVPR 2019, section 3), shot and read noise by ISO, Bayer mosaic, demosaic,
white balance, the camera's own noise reduction, colour matrix, tone, sharpening, resize, JPEG. The
clean twin takes the same way without noise and without JPEG.

How noisy a sensor is at an ISO setting: quantiles over 8,048 measured profiles of darktable (green
channel, raw values of 0..1), of several hundred cameras.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.synthesis import development, isp, random_fields
from mdn.noise.synthesis.basic import jpeg
from mdn.noise.synthesis.random_fields import Level

GRAY = 0.18  # the light that the camera's noise reduction is set by
# ISO: (shot at 5, 50 and 95 % of the cameras), (read at 50 and 95 %).
TABLE: dict[int, tuple[tuple[float, float, float], tuple[float, float]]] = {
    100: ((8.6e-7, 3.3e-6, 1.7e-5), (3.7e-9, 6.4e-8)),
    400: ((2.8e-6, 1.0e-5, 6.0e-5), (1.7e-8, 3.4e-7)),
    1600: ((1.0e-5, 3.8e-5, 2.4e-4), (1.1e-7, 3.3e-6)),
    3200: ((2.0e-5, 7.1e-5, 4.6e-4), (2.3e-7, 6.6e-6)),
    6400: ((3.8e-5, 1.4e-4, 7.3e-4), (5.1e-7, 9.8e-6)),
    12800: ((7.4e-5, 2.3e-4, 7.0e-4), (9.3e-7, 1.1e-5)),
    25600: ((1.2e-4, 3.3e-4, 8.2e-4), (1.2e-6, 2.1e-5)),
}
QUANTILE = 1.645  # standard deviations from the median to the 5 and 95 % quantiles of a normal


@dataclass(frozen=True)
class SensorNoise:
    """Variance of a raw value r in 0..1: shot * r + read."""

    shot: float
    read: float


def quantiles(iso: float) -> tuple[tuple[float, float, float], tuple[float, float]]:
    """The table between its rows, all logarithms interpolated; beyond its ends as at the ends."""
    rows = list(TABLE)
    at = min(max(iso, rows[0]), rows[-1])
    upper = next(row for row in rows if row >= at)
    lower = max(row for row in rows if row <= at)
    share = 0.0 if upper == lower else math.log(at / lower) / math.log(upper / lower)

    def between(a: float, b: float) -> float:
        return a ** (1 - share) * b**share

    (a5, a50, a95), (b50, b95) = TABLE[lower]
    (c5, c50, c95), (d50, d95) = TABLE[upper]
    return (between(a5, c5), between(a50, c50), between(a95, c95)), (
        between(b50, d50),
        between(b95, d95),
    )


def draw_sensor(iso: float, generator: torch.Generator) -> SensorNoise:
    """One camera at that ISO: log-normal about the median, either side by its own quantile.

    Shot and read noise share one random number: a small sensor is worse in both.
    """
    (low, middle, high), (read, read_high) = quantiles(iso)
    offset = float(torch.randn((), generator=generator).clamp(-2.5, 2.5))
    side = math.log(high / middle) if offset > 0 else math.log(middle / low)
    shot = middle * math.exp(side * offset / QUANTILE)
    return SensorNoise(shot, read * math.exp(math.log(read_high / read) * offset / QUANTILE))


@dataclass(frozen=True)
class Settings:
    """What one picture was taken and developed with."""

    colours: isp.Camera  # of Brooks et al.: colour matrix and white balance, for one picture
    sensor: SensorNoise  # its noise at the chosen ISO
    exposure: float  # share of the light that fell on the sensor; made up for by digital gain
    lens: float  # deviation of the lens's and the sensor filter's blur, sensor pixels
    method: int  # index of the demosaic
    chroma: float  # strength of the noise reduction, in deviations of the noise at mid-gray
    luma: float
    radius: int  # of the noise reduction, pixels
    gamma: float  # this and the next three: of the development
    contrast: float
    sharp_sigma: float
    sharp_amount: float
    resize: float  # size of the finished picture over that of the sensor's
    quality: int  # of the JPEG, 0 for none
    halved: bool  # colours at half resolution


def draw_settings(iso: float, generator: torch.Generator) -> Settings:
    """A random camera, set to that ISO."""
    dice = torch.rand(18, generator=generator).tolist()

    def between(low: float, high: float) -> float:
        return low + (high - low) * dice.pop()

    def chance(share: float) -> bool:
        return dice.pop() < share

    return Settings(
        colours=isp.draw_camera(1, generator),
        sensor=draw_sensor(iso, generator),
        exposure=2 ** -between(0, 4) if chance(0.8) else 1.0,
        method=min(len(development.METHODS) - 1, int(between(0, len(development.METHODS)))),
        lens=between(0.3, 1.1),
        chroma=5 * 6 ** between(0, 1) if chance(0.92) else 0.0,
        luma=0.7 * 8 ** between(0, 1) if chance(0.85) else 0.0,
        radius=1 + int(between(0, 2.999)),
        gamma=between(2.0, 2.4),
        contrast=between(0.7, 1.0),
        sharp_sigma=between(0.6, 2.0),
        sharp_amount=max(0.0, between(-0.6, 1.8)),
        resize=2 ** between(-0.7, 0.8) if chance(0.5) else 1.0,
        quality=round(99 - 24 * between(0, 1) ** 2.5) if chance(0.85) else 0,
        halved=chance(0.6),
    )


def take_photo(x: Tensor, settings: Settings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The picture as that camera gives it, and its clean twin.

    Args:
        x: (1, 3, H, W), display light of 0..1.
        settings: the camera's.
        generator: of the noise.

    Returns:
        noisy, clean: (1, 3, H, W) each, in 0..1.
    """
    size = x.shape[2:]
    sensor_size = [max(1, round(side / settings.resize)) for side in size]
    scene = development.blur(_resized(x, sensor_size).clamp(0, 1), settings.lens)
    raw = isp.unprocess(scene, settings.colours) * settings.exposure
    cells = development.bayer_masks(*raw.shape[2:]).to(raw)
    mosaic = (raw * cells).sum(1, keepdim=True)
    noisy = record(mosaic, settings.sensor, generator)
    noisy, clean = (
        _resized(_develop(part.clamp(0, 1), settings), list(size)).clamp(0, 1)
        for part in (noisy, mosaic)
    )
    return as_file(noisy, settings), clean


def as_file(x: Tensor, settings: Settings) -> Tensor:
    """What is left of a finished picture (B, 3, H, W) when that camera has stored it."""
    x = (x * 255).round() / 255
    return jpeg(x, settings.quality, halved=settings.halved) if settings.quality else x


def record(mosaic: Tensor, sensor: SensorNoise, generator: torch.Generator) -> Tensor:
    """Raw values (0..1) as the sensor reads them: normal noise of variance shot * value + read."""
    variance = sensor.shot * mosaic + sensor.read
    return mosaic + variance.sqrt() * random_fields.normal(mosaic, generator)


def take_photos(x: Tensor, iso: Level, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy pictures and their clean twins, another camera for each.

    Args:
        x: (..., 3 or 1, H, W), display light of 0..1; gray is taken in colour and turned gray.
        iso: one number, or a tensor with one for each picture.
        generator: on the CPU.
    """
    pictures = x.reshape(-1, *x.shape[-3:])
    gray = pictures.shape[1] == 1
    isos = torch.as_tensor(iso, dtype=torch.float32).flatten().expand(len(pictures)).tolist()
    photos = [
        take_photo(picture[None].expand(1, 3, -1, -1), draw_settings(setting, generator), generator)
        for picture, setting in zip(pictures, isos, strict=True)
    ]
    noisy, clean = (torch.cat(parts) for parts in zip(*photos, strict=True))
    if gray:
        weights = torch.tensor(isp.LUMA).view(1, 3, 1, 1).to(noisy)
        noisy, clean = ((part * weights).sum(1, keepdim=True) for part in (noisy, clean))
    return noisy.reshape(x.shape).to(x), clean.reshape(x.shape).to(x)


def camera(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x plus the noise that such a camera leaves: what its two pictures differ by.

    The camera's own look (softness, tone) is not added, so that an error measured against x is the
    noise and its JPEG alone.
    """
    noisy, clean = take_photos(x.clamp(0, 1), level, generator)
    return x + (noisy - clean)


def _develop(mosaic: Tensor, settings: Settings) -> Tensor:
    """A mosaic (1, 1, H, W) to a finished picture (1, 3, H, W)."""
    colours = development.METHODS[settings.method](mosaic) / settings.exposure
    balanced = (colours * settings.colours.gains).clamp(0, 1)
    sensor = settings.sensor
    noise = math.sqrt(sensor.shot * GRAY * settings.exposure + sensor.read) / settings.exposure
    calm = development.reduce_noise(
        balanced, settings.luma * noise, settings.chroma * noise, settings.radius
    )
    matrix = torch.linalg.inv(settings.colours.to_camera)
    linear = torch.einsum("bij,bjhw->bihw", matrix, calm)
    display = development.tone(linear, settings.gamma, settings.contrast)
    return development.sharpen(display, settings.sharp_sigma, settings.sharp_amount).clamp(0, 1)


def _resized(x: Tensor, size: list[int]) -> Tensor:
    if list(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size, mode="bicubic", antialias=True)
