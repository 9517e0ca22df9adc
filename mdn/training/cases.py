"""Crops that a single kind of noise does not make: what people bring, and what is easily misread.

Cameras at their own size, noise of colours alone, hot pixels that a demosaic has spread, a noisy
picture on a flat page, what a camera has denoised and sharpened, stars, film of every grain, noise
that depends on brightness in odd ways, light on black, and photographs that are to stay as they
are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.synthesis import development, random_fields
from mdn.noise.synthesis.basic import jpeg
from mdn.noise.synthesis.camera import Settings, as_file, draw_settings, take_photo

BLOTCHED = 0.75  # share of the cameras at their own size

Parts = tuple[Tensor, Tensor, Tensor]
"""Noisy, the same stored without noise, and what it should be: (1, C, H, W) each."""


class Dice:
    """Numbers of one generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=self.generator).item()

    def ratio(self, low: float, high: float) -> float:
        """Evenly by its logarithm."""
        return low * (high / low) ** self.between(0, 1)

    def chance(self, share: float) -> bool:
        return self.between(0, 1) < share


@dataclass(frozen=True)
class Case:
    """A way to spoil a crop.

    function: of the clean crop (1, C, H, W), the level and a generator. limits: of levels that make
    sense. scales: least and greatest factor of the pictures' size, where it is not the recipe's.
    stored: whether what comes out is as a file holds it already, so that no other JPEG follows.
    """

    function: Callable[[Tensor, float, torch.Generator], Parts]
    limits: tuple[float, float]
    scales: tuple[float, ...] = ()
    stored: bool = False


def own_camera(x: Tensor, iso: float, generator: torch.Generator) -> Parts:
    """A camera's picture at its own size or larger: soft, weak, coarse noise."""
    dice = Dice(generator)
    settings = replace(
        draw_settings(iso, generator),
        resize=dice.ratio(1.0, 1.8) if dice.chance(0.5) else 1.0,
        exposure=2 ** -dice.between(0, 2.5),
        lens=dice.between(0.5, 1.2),
        luma=dice.ratio(0.7, 5.0) if dice.chance(0.8) else 0.0,
        sharp_amount=max(0.0, dice.between(-0.6, 1.0)),
        quality=round(dice.between(86, 99)) if dice.chance(0.8) else 0,
    )
    noisy, stored, twin = _taken(x, settings, generator)
    if dice.chance(BLOTCHED):
        noisy = blotched(noisy, noisy - stored, dice)
    return noisy, stored, twin


def blotched(noisy: Tensor, noise: Tensor, dice: Dice) -> Tensor:
    """With blotches as well, which the noise reduction of real cameras leaves over.

    Pairs of val/cameras have .84, .67, .50 and .35 of their noise left in means of 2, 4, 8 and 16
    pixels a side; `take_photo` leaves .75, .50, .35 and .23.
    """
    strength = dice.between(0.2, 1.2) * noise.square().mean().sqrt()
    blur = dice.ratio(1.5, 5.0)
    field = random_fields.blurred_normal(noisy, dice.generator, noisy.shape[1], blur)
    shared = random_fields.blurred_normal(noisy, dice.generator, 1, blur)
    share = dice.between(0.3, 0.95)
    field = share**0.5 * shared + (1 - share) ** 0.5 * field
    return ((noisy + strength * field).clamp(0, 1) * 255).round() / 255


def processed(x: Tensor, iso: float, generator: torch.Generator) -> Parts:
    """What a camera has denoised strongly and then sharpened: hardly any noise is left."""
    dice = Dice(generator)
    settings = replace(
        draw_settings(iso, generator),
        resize=1.0,
        luma=dice.ratio(4.0, 14.0),
        chroma=dice.ratio(8.0, 40.0),
        sharp_sigma=dice.between(0.6, 1.6),
        sharp_amount=dice.between(0.8, 3.0),
        quality=round(dice.between(85, 99)) if dice.chance(0.8) else 0,
    )
    return _taken(x, settings, generator)


def _taken(x: Tensor, settings: Settings, generator: torch.Generator) -> Parts:
    noisy, twin = take_photo(x.expand(1, 3, -1, -1), settings, generator)
    parts = noisy, as_file(twin, settings), twin
    if x.shape[1] == 1:
        return tuple(part.mean(1, keepdim=True) for part in parts)  # type: ignore[return-value]
    return parts


def colour(x: Tensor, level: float, generator: torch.Generator) -> Parts:
    """Noise of the colours, while brightness is quiet; fine or in blotches."""
    dice = Dice(generator)
    field = _field(x, dice)
    mean = field.mean(1, keepdim=True)
    quiet = dice.between(0.0, 0.25)
    noisy = x + (field - (1 - quiet) * mean) * (level / 255)
    return noisy, x, x


def film(x: Tensor, level: float, generator: torch.Generator) -> Parts:
    """Grain of every length, much or little of it shared by the colours, strongest somewhere."""
    dice = Dice(generator)
    shared = dice.between(0.3, 1.0) if x.shape[1] > 1 else 0.0
    field = (1 - shared) ** 0.5 * _field(x, dice)
    if shared:
        field = field + shared**0.5 * _field(x[:, :1], dice)
    tone = x.clamp(0, 1)
    floor = dice.between(0.05, 1.0)
    strength = (floor + (1 - floor) * 4 * tone * (1 - tone)).sqrt()
    noisy = x + field * strength * (level / 255)
    return noisy, x, x


def _field(x: Tensor, dice: Dice) -> Tensor:
    """Normal samples of variance 1, white or of a random length of up to 4 pixels."""
    if dice.chance(0.25):
        return random_fields.normal(x, dice.generator)
    return random_fields.blurred_normal(x, dice.generator, x.shape[1], dice.ratio(0.4, 4.0))


def uneven(x: Tensor, level: float, generator: torch.Generator) -> Parts:
    """White noise whose deviation is a power of brightness, or of darkness."""
    dice = Dice(generator)
    tone = x.clamp(0, 1)
    tone = 1 - tone if dice.chance(0.2) else tone
    strength = tone ** dice.between(0.4, 1.6)
    floor = dice.between(0, 0.15) if dice.chance(0.6) else 0.0
    noisy = x + (strength + floor) * (level / 255) * random_fields.normal(x, generator)
    return noisy, x, x


def hot_pixels(x: Tensor, share: float, generator: torch.Generator) -> Parts:
    """Single cells of a sensor that shine, as a demosaic and a sharpening spread them."""
    dice = Dice(generator)
    colours = x.clamp(0, 1).expand(1, 3, -1, -1) ** 2.2
    cells = development.bayer_masks(*x.shape[2:])
    mosaic = (colours * cells).sum(1, keepdim=True)
    hot = random_fields.uniform(mosaic, generator) < share
    light = dice.between(0.05, 0.4) + 0.6 * random_fields.uniform(mosaic, generator)
    shining = torch.where(hot, mosaic + light, mosaic).clamp(0, 1)
    shining = shining + dice.between(0, 0.006) * random_fields.normal(mosaic, generator)
    method = development.METHODS[int(dice.between(0, 0.999) * len(development.METHODS))]
    sharp = dice.between(0, 1.5) if dice.chance(0.4) else 0.0
    parts = [
        development.sharpen(method(raw).clamp(1e-6, 1) ** (1 / 2.2), 1.0, sharp).clamp(0, 1)
        for raw in (shining, mosaic)
    ]
    if x.shape[1] == 1:
        parts = [part.mean(1, keepdim=True) for part in parts]
    return parts[0], parts[1], parts[1]


def impulses(x: Tensor, share: float, generator: torch.Generator) -> Parts:
    """Pixels or samples that another value replaces, of any brightness; some of two or more."""
    dice = Dice(generator)
    alike = dice.chance(0.5) or x.shape[1] == 1  # whole pixels, or each colour by itself
    plane = x[:, :1] if alike else x
    hit = random_fields.uniform(plane, generator) < share
    if dice.chance(0.15):  # grown by a neighbour
        down, right = (torch.roll(hit, 1, axis) for axis in (2, 3))
        hit = hit | (down if dice.chance(0.5) else right)
    value = random_fields.uniform(x[:, :1] if dice.chance(0.4) else x, generator)
    if dice.chance(0.4):  # a step away from what was there
        step = dice.between(0.12, 0.4) + dice.between(0, 0.6) * value
        sign = (random_fields.uniform(x[:, :1], generator) < dice.between(0, 1)).float()
        value = (x + (2 * sign - 1) * step).clamp(0, 1)
    noise = random_fields.normal(x, generator) * (dice.ratio(0.5, 25) / 255)
    noisy = x + noise if dice.chance(0.4) else x
    return torch.where(hit, value.expand_as(x), noisy), x, x


def page(x: Tensor, level: float, generator: torch.Generator) -> Parts:
    """A noisy picture on a flat page."""
    dice = Dice(generator)
    side = x.shape[2]
    height, width = (round(side * dice.between(0.35, 0.85)) for _ in range(2))
    top, left = round(dice.between(0, side - height)), round(dice.between(0, side - width))
    paper = torch.ones(1, x.shape[1], 1, 1)
    if dice.chance(0.5):
        paper = torch.rand(1, x.shape[1], 1, 1, generator=generator)
    clean = paper.expand_as(x).clone()
    part = (..., slice(top, top + height), slice(left, left + width))
    clean[part] = x[part]
    noise = _field(x, dice) if dice.chance(0.4) else random_fields.normal(x, generator)
    noisy = clean.clone()
    noisy[part] += noise[part] * (level / 255)
    return noisy, clean, clean


def stars(x: Tensor, level: float, generator: torch.Generator) -> Parts:
    """Points of light of every brightness on a dark, uneven, noisy sky."""
    dice = Dice(generator)
    shape = x.shape[2:]
    glow = F.interpolate(
        torch.rand(1, x.shape[1], 3, 3, generator=generator), list(shape), mode="bicubic"
    )
    sky = dice.ratio(0.01, 0.2) * (0.6 + 0.8 * glow.clamp(0, 1))
    there = random_fields.uniform(x[:, :1], generator) < dice.ratio(3e-4, 8e-3)
    light = dice.ratio(3, 60) * (level / 255) * random_fields.uniform(x[:, :1], generator) ** 2
    tint = 0.7 + 0.3 * torch.rand(1, x.shape[1], *shape, generator=generator)
    points = torch.where(there, light, torch.zeros(())) * tint
    spot = dice.ratio(0.35, 1.4)
    points = development.blur(points, spot) * max(1.0, 6.28 * spot**2)  # the peak is kept
    clean = (sky + points).clamp(0, 1)
    noise = _field(x, dice) if dice.chance(0.3) else random_fields.normal(x, generator)
    noisy = clean + noise * (level / 255)
    return noisy, clean, clean


def glow(x: Tensor, photons: float, generator: torch.Generator) -> Parts:
    """Light on black, few photons of it: fluorescence as 8-bit gray."""
    dice = Dice(generator)
    gray = x.mean(1, keepdim=True).clamp(0, 1) ** dice.between(1.5, 4.0)
    clean = dice.between(0, 0.08) + dice.between(0.3, 0.9) * gray
    noisy = random_fields.poisson(clean * photons, generator) / photons
    noisy = noisy + dice.between(0, 0.02) * random_fields.normal(clean, generator)
    noisy, clean = (part.expand_as(x) for part in (noisy, clean))
    return noisy, clean, clean


def kept(x: Tensor, quality: float, generator: torch.Generator) -> Parts:
    """A photograph with its own grain, as a good JPEG: to be left alone."""
    coded = jpeg(x, quality, halved=Dice(generator).chance(0.5))
    return coded, coded, coded


CASES = {
    # Smaller, so that little is left of the pictures' own grain, which would count as truth.
    "own-camera": Case(own_camera, (50, 102400), scales=(0.35, 0.7), stored=True),
    "processed": Case(processed, (50, 102400), stored=True),
    "colour": Case(colour, (0, 80)),
    "film": Case(film, (0, 80)),
    "uneven": Case(uneven, (0, 150)),
    "hot-pixels": Case(hot_pixels, (0, 0.1)),
    "impulses": Case(impulses, (0, 0.5)),
    "page": Case(page, (0, 80)),
    "stars": Case(stars, (0, 40)),
    "glow": Case(glow, (1, 1000)),
    "kept": Case(kept, (1, 100), stored=True),
}
BY_LOGARITHM = {  # how their levels are drawn
    "own-camera", "processed", "hot-pixels", "impulses", "glow",
}  # fmt: skip


def draw_case(kind: str, x: Tensor, levels: Tensor, generator: torch.Generator) -> Parts:
    """Crops (B, C, H, W), each with its level of (B,), as `Parts` of (B, C, H, W)."""
    function = CASES[kind].function
    rows = [
        function(crop[None], level, generator)
        for crop, level in zip(x, levels.tolist(), strict=True)
    ]
    noisy, stored, clean = (torch.cat(part) for part in zip(*rows, strict=True))
    return noisy, stored, clean
