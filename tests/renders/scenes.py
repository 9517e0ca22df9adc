"""Small renders for the tests: with every role of layer, lights that add up, a pan."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.io.exr import samples

SHAPE = (40, 56)


def albedo(shift: float = 0.0) -> np.ndarray:
    """(H, W, 3): checks, moved to the left by `shift` pixels."""
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]].astype(np.float64)
    x = x + shift
    checks = 0.5 + 0.4 * np.sign(np.sin(x / 3)) * np.sign(np.sin(y / 3))
    return np.stack([checks, 0.8 * checks, 0.3 + 0.2 * checks], -1)


def truth(shift: float = 0.0) -> np.ndarray:
    """(H, W, 3): the albedo under a light that falls off."""
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    return albedo(shift) * (0.2 + np.exp(-((x + shift - 28) ** 2 + (y - 20) ** 2) / 300))[..., None]


def noisy(light: np.ndarray, seed: int, samples: float = 4.0) -> np.ndarray:
    """As path tracing does it: unbiased, skewed, drawn anew for each pixel."""
    return light * np.random.default_rng(seed).gamma(samples, 1 / samples, (*light.shape[:2], 1))


def planes(prefix: str, picture: np.ndarray, letters: str = "RGB") -> dict[str, np.ndarray]:
    return {
        prefix + letter: np.ascontiguousarray(picture[..., at]).astype(np.float16)
        for at, letter in enumerate(letters)
    }


def scene(path: Path, seed: int = 0, shift: float = 0.0, motion: float | None = None) -> Path:
    """A render with lights key and fill that add up to its beauty, and all that goes beside it."""
    random = np.random.default_rng(seed + 100)
    light = truth(shift)
    key, fill = noisy(0.7 * light, seed), noisy(0.3 * light, seed + 50)
    normal = np.zeros((*SHAPE, 3))
    normal[..., 2] = 1
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    channels = planes("RGBA_key.", key) | planes("RGBA_fill.", fill)
    channels |= planes("", sum_of(channels)) | planes("albedo.", albedo(shift))
    channels |= planes("N.", normal, "XYZ")
    channels |= {
        "A": (random.random(SHAPE) > 0.1).astype(np.float16),
        "Z": (3 + x + y / 7).astype(np.float32),
        "id": random.integers(0, 2**32, SHAPE, dtype=np.uint32),
        "crypto_object00.R": random.integers(0, 2**32, SHAPE, dtype=np.uint32).view(np.float32),
        "crypto_object00.G": random.random(SHAPE).astype(np.float32),
        "crypto_object00.B": random.integers(0, 2**32, SHAPE, dtype=np.uint32).view(np.float32),
        "crypto_object00.A": random.random(SHAPE).astype(np.float32),
    }
    if motion is not None:
        channels |= planes("motionvector.", np.full((*SHAPE, 2), [motion, 0.0]), "XY")
    head = samples.header(dataWindow=samples.box((-4, 2, SHAPE[1] - 5, SHAPE[0] + 1)))
    return samples.write(path, (head, channels))


def file(path: Path, channels: dict[str, np.ndarray], **more: Any) -> Path:
    """A render of these channels in the size of a scene."""
    head = samples.header(dataWindow=samples.box((0, 0, SHAPE[1] - 1, SHAPE[0] - 1)), **more)
    return samples.write(path, (head, channels))


def sum_of(channels: dict[str, np.ndarray], *groups: str) -> np.ndarray:
    """(H, W, 3): the lights of a scene added up, as they are stored."""
    names = groups or ("RGBA_key", "RGBA_fill")
    parts = [
        np.stack([channels[f"{name}.{letter}"] for letter in "RGB"], -1).astype(np.float64)
        for name in names
    ]
    return np.sum(parts, 0)
