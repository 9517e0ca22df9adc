"""Samples that are no part of a picture: up to 1 % of them, in the first columns of a wide one.

So that what they do to the rest can be measured, the rest begins 80 pixels away, which is farther
than any net sees.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tests.nothing_destroyed.pictures import Values, cells, leaves, rms, stamp

SHAPE = 160, 288
BAND = 56  # columns that hold outliers
FAR = BAND + 80  # the first column that no net sees them from
SIGMA = 30.0  # of counts from 120 to 620
KINDS = ("singles", "clusters", "line", "column", "stamp", "scale bar", "wedge", "islands")


def mask_of(kind: str, seed: int) -> np.ndarray:
    """(H, W) bool: where outliers of a kind are; at most 1 % of the picture."""
    random, mask = np.random.default_rng(seed), np.zeros(SHAPE, bool)
    height, width = SHAPE
    most = mask.size // 100
    if kind == "singles":
        number = int(random.integers(1, most // 2))
        mask[random.integers(0, height, number), random.integers(0, BAND, number)] = True
    elif kind == "clusters":
        for _ in range(int(random.integers(1, most // 9))):
            y, x = random.integers(0, height - 3), random.integers(0, BAND - 3)
            mask[y : y + 3, x : x + 3] = True
    elif kind == "line":
        mask[int(random.integers(4, height - 4)), 2:BAND] = True
    elif kind == "column":
        mask[:, int(random.integers(4, BAND - 4))] = True
    elif kind == "stamp":
        mask[:, :BAND] = stamp((height, BAND), "12:30:05")
    elif kind == "scale bar":
        y = int(random.integers(4, height - 8))
        mask[y : y + 4, 8:48] = True
    elif kind == "wedge":
        down, across = np.mgrid[:height, :width]
        mask = down + across < 28
    else:
        for _ in range(int(random.integers(2, 12))):
            y, x, size = random.integers(2, height - 8), random.integers(2, BAND - 8), 6
            mask[y : y + size, x : x + int(random.integers(3, size + 1))] = True
    assert 0 < mask.sum() <= most
    return mask


@dataclass(frozen=True)
class Scene:
    """A noisy picture, with and without outliers."""

    truth: np.ndarray  # (H, W) or (H, W, 3) float64, stored values, without noise
    plain: np.ndarray  # with noise, as stored
    mask: np.ndarray  # (H, W) bool: the outliers
    outliers: np.ndarray  # plain with them
    sigma: float

    def far(self, after: np.ndarray, alone: np.ndarray) -> float:
        """The largest change of the result out of sight of the outliers, in sigma."""
        difference = np.abs(after[:, FAR:].astype(float) - alone[:, FAR:].astype(float))
        assert np.isfinite(difference).all()
        return float(difference.max()) / self.sigma

    def beside(self, after: np.ndarray, alone: np.ndarray, reach: int = 12) -> tuple[float, float]:
        """The error in sigma beside the outliers, and what is usual.

        Usual is the error elsewhere, or that of the same pixels without outliers, if that is more.
        """
        near = ndimage.binary_dilation(self.mask, iterations=reach) & ~self.mask
        elsewhere = np.zeros(SHAPE, bool)
        elsewhere[:, FAR:] = True
        error, control = (x.astype(float) - self.truth for x in (after, alone))
        usual = max(rms(error[elsewhere]), rms(control[near]))
        return rms(error[near]) / self.sigma, usual / self.sigma


def counts(kind: str, value: float, dtype: str, seed: int) -> Scene:
    """Cells of 120 to 620 with noise of 30, and outliers of one value."""
    random = np.random.default_rng(seed)
    truth = 120 + 500 * cells(SHAPE, random, number=30)
    plain = Values(dtype, 0, 1).store(truth + random.normal(0, SIGMA, SHAPE))
    mask = mask_of(kind, seed + 1)
    outliers = plain.copy()
    outliers[mask] = value
    return Scene(truth, plain, mask, outliers, SIGMA)


def photo(kind: str, value: tuple[int, int, int], dtype: str, seed: int) -> Scene:
    """A photo in colour with noise of 20 of 255, and outliers of one colour, given in 0..255."""
    random = np.random.default_rng(seed)
    scale = {"uint8": 1.0, "uint16": 257.0, "float32": 1 / 255}[dtype]
    gray = leaves(SHAPE, random)
    truth = (60 + 130 * np.stack([gray, 0.9 * gray, 0.8 * gray + 0.1], -1)) * scale
    noise = random.normal(0, 20 * scale, truth.shape)
    plain = Values(dtype, 0, 1).store(truth + noise)
    mask = mask_of(kind, seed + 1)
    outliers = plain.copy()
    outliers[mask] = (np.array(value) * scale).astype(dtype)
    return Scene(truth, plain, mask, outliers, 20 * scale)


def starlight(seed: int) -> Scene:
    """Stars over a sky of 300 with noise of 15, of which the brightest are cut off at 65535.

    The mask holds all that a star lights up by more than a fifth of sigma.
    """
    random = np.random.default_rng(seed)
    points = np.zeros(SHAPE)
    number = 25
    places = random.integers(3, SHAPE[0] - 3, number), random.integers(3, BAND - 6, number)
    points[places] = 2000 * (1 + random.pareto(0.7, number))
    light = ndimage.gaussian_filter(points, 1.3)
    noise = random.normal(0, 15, SHAPE)
    sky = 300 + 100 * cells(SHAPE, random, number=12)
    plain = (sky + noise).round().clip(0, 65535).astype(np.uint16)
    outliers = (sky + light + noise).round().clip(0, 65535).astype(np.uint16)
    return Scene(sky + light, plain, light > 3, outliers, 15.0)
