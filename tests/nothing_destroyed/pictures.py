"""What is in the pictures: contents without noise, the range they are stored in, and noise.

A picture is a few words (content, values, noise, shape, seed), so that a failing one can be read
and made again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Shape = tuple[int, int]


def examples(number: int) -> settings:
    """So many cases, the same each time; failing ones are shown as they are, not made smaller."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


def ramp(shape: Shape, random: np.random.Generator) -> np.ndarray:
    down, across = (
        np.mgrid[: shape[0], : shape[1]] / np.maximum(np.array(shape) - 1, 1)[:, None, None]
    )
    turn = random.uniform(0, 1)
    return turn * down + (1 - turn) * across


def blurred(shape: Shape, random: np.random.Generator) -> np.ndarray:
    """Noise after a Gaussian blur: deconvolved, binned and interpolated data look like it."""
    pixels = ndimage.gaussian_filter(random.normal(size=shape), random.uniform(2, 6), mode="wrap")
    return (pixels - pixels.min()) / max(float(np.ptp(pixels)), 1e-9)


def checkerboard(shape: Shape, random: np.random.Generator) -> np.ndarray:
    side = int(random.integers(1, 9))
    return (np.add.outer(np.arange(shape[0]) // side, np.arange(shape[1]) // side) % 2).astype(
        float
    )


def cells(shape: Shape, random: np.random.Generator, number: int = 14) -> np.ndarray:
    """Soft bright spots on a dim ground, as of fluorescence."""
    down, across = np.mgrid[: shape[0], : shape[1]]
    pixels = np.full(shape, 0.08)
    for _ in range(number):
        y, x = random.uniform(0, shape[0]), random.uniform(0, shape[1])
        size, light = random.uniform(4, 12), random.uniform(0.3, 0.9)
        pixels += light * np.exp(-((down - y) ** 2 + (across - x) ** 2) / (2 * size**2))
    return pixels.clip(0, 1)


def leaves(shape: Shape, random: np.random.Generator) -> np.ndarray:
    """Discs of any size over one another, each shaded: edges and areas as a photo's."""
    down, across = np.mgrid[: shape[0], : shape[1]]
    pixels = 0.3 + 0.4 * ramp(shape, random)
    for _ in range(40):
        y, x = random.uniform(0, shape[0]), random.uniform(0, shape[1])
        size, shade = 4 + 30 * random.power(0.5), random.uniform(-0.004, 0.004)
        inside = (down - y) ** 2 + (across - x) ** 2 < size**2
        pixels[inside] = (random.uniform(0.1, 0.9) + shade * (across - x))[inside]
    return ndimage.gaussian_filter(pixels, 0.6).clip(0, 1)


def few_values(shape: Shape, random: np.random.Generator, number: int = 7) -> np.ndarray:
    """Areas of a handful of values, with sharp borders."""
    pixels = ndimage.gaussian_filter(random.normal(size=shape), 6, mode="wrap")
    ranks = np.searchsorted(np.quantile(pixels, np.linspace(0, 1, number + 1)[1:-1]), pixels)
    return random.permutation(number)[ranks] / (number - 1)


def stars(shape: Shape, random: np.random.Generator) -> np.ndarray:
    """Points of light after a small blur, of which the brightest are cut off."""
    pixels = np.zeros(shape)
    number = max(1, pixels.size // 400)
    pixels.flat[random.integers(0, pixels.size, number)] = random.pareto(1.0, number)
    return (0.05 + ndimage.gaussian_filter(pixels, 1.2) * 6).clip(0, 1)


def stamp(shape: Shape, text: str = "12:30:05", size: int = 12) -> np.ndarray:
    """(H, W) bool: the pixels of a text burnt in at the lower left."""
    image = Image.new("1", shape[::-1], 0)
    place = (3, max(0, shape[0] - size - 6))
    ImageDraw.Draw(image).text(place, text, fill=1, font=ImageFont.load_default(size))
    return np.array(image)


def stamped(shape: Shape, random: np.random.Generator) -> np.ndarray:
    pixels = 0.05 + 0.1 * cells(shape, random)
    pixels[stamp(shape)] = 1
    return pixels


def scale_bar(shape: Shape, random: np.random.Generator) -> np.ndarray:
    pixels = 0.01 + 0.01 * cells(shape, random)
    pixels[-8:-5, -30:-5] = 1
    return pixels


def almost_constant(shape: Shape, random: np.random.Generator) -> np.ndarray:
    pixels = np.full(shape, 0.5)
    pixels.flat[random.integers(0, pixels.size)] += 0.01
    return pixels


CONTENTS: dict[str, Callable[[Shape, np.random.Generator], np.ndarray]] = {
    "constant": lambda shape, random: np.full(shape, random.uniform()),
    "almost constant": almost_constant,
    "ramp": ramp,
    "blurred": blurred,
    "checkerboard": checkerboard,
    "few values": few_values,
    "cells": cells,
    "leaves": leaves,
    "stars": stars,
    "stamp": stamped,
    "scale bar": scale_bar,
    "white noise": lambda shape, random: random.uniform(size=shape),
}


@dataclass(frozen=True)
class Values:
    """The dtype of samples, and what 0 and 1 of a content become."""

    dtype: str
    low: float
    high: float

    @property
    def step(self) -> float:
        """What rounding costs: a whole number, or what a few operations in float32 lose."""
        whole = 1.0 if np.dtype(self.dtype).kind in "iu" else 0.0
        return max(whole, 4 * float(np.finfo(np.float32).eps) * max(abs(self.low), abs(self.high)))

    def store(self, pixels: np.ndarray) -> np.ndarray:
        """0..1, and what noise adds, as it is stored."""
        values = self.low + (self.high - self.low) * pixels
        if np.dtype(self.dtype).kind not in "iu":
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        return values.round().clip(limits.min, limits.max).astype(self.dtype)


COUNTS = Values("uint16", 120, 620)
VALUES = (
    Values("uint8", 20, 230),
    Values("uint8", 0, 255),
    COUNTS,
    Values("uint16", 0, 51000),
    Values("uint16", 0, 65535),
    Values("int16", -3000, 3000),
    Values("int32", -100_000, 1_000_000),
    Values("uint32", 0, 4e9),
    Values("float32", 0, 1),
    Values("float32", 0, 1e-12),
    Values("float32", 0, 1e12),
    Values("float32", -3, -1),
    Values("float32", -20, 230),
    Values("float64", 100, 101),
    Values("float64", -1e6, 1e6),
)

SIDES = st.integers(64, 128)
SHAPES = st.one_of(
    st.tuples(SIDES, SIDES),
    st.tuples(st.integers(1, 40), st.integers(1, 160)),
    st.sampled_from([(1, 160), (160, 1), (2, 2), (1, 1), (1, 60), (3, 128), (128, 2)]),
)


@dataclass(frozen=True)
class Picture:
    """A picture in words."""

    content: str
    values: Values
    noise: float  # standard deviation, as a share of the range of the content
    shape: Shape
    seed: int
    colours: int = 0  # 0: (H, W); otherwise (H, W, colours)

    @property
    def sigma(self) -> float:
        """The noise in stored values."""
        return self.noise * (self.values.high - self.values.low)

    @cache  # noqa: B019  pictures are few and small
    def truth(self) -> np.ndarray:
        """Without noise, in stored values, float64."""
        random = np.random.default_rng(self.seed)
        pixels = CONTENTS[self.content](self.shape, random)
        if self.colours:
            tints = random.uniform(0.6, 1, self.colours)
            pixels = pixels[..., None] * tints
        return self.values.low + (self.values.high - self.values.low) * pixels

    def stored(self) -> np.ndarray:
        """With its noise, as a file holds it."""
        values = self.values
        noise = np.random.default_rng(self.seed + 1).normal(0, self.noise, self.truth().shape)
        nominal = (self.truth() - values.low) / (values.high - values.low)
        return values.store(nominal + noise if self.noise else nominal)


def escape(result: np.ndarray, before: np.ndarray, sigma: float, reach: int = 16) -> float:
    """How far a plane (H, W) leaves the range of the 33 x 33 samples around, beyond 4 sigma.

    In stored values; 0 or less where every sample stays within. Samples that are no numbers in
    `before` are not looked at.
    """
    valid = np.isfinite(before)
    high, low = (
        _largest(np.where(valid, s * before.astype(float), -np.inf), reach) for s in (1, -1)
    )
    after = result.astype(float)
    beyond = np.maximum(after - high, -after - low)[valid]
    return float(beyond.max() - 4 * sigma) if beyond.size else 0.0


def _largest(plane: np.ndarray, reach: int) -> np.ndarray:
    """The largest value in a square of 2 * reach + 1 around each sample."""
    tensor = torch.from_numpy(plane)[None, None]
    rows = torch.nn.functional.max_pool2d(tensor, (2 * reach + 1, 1), 1, (reach, 0))
    return torch.nn.functional.max_pool2d(rows, (1, 2 * reach + 1), 1, (0, reach))[0, 0].numpy()


def rms(difference: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(difference.astype(float)))))
