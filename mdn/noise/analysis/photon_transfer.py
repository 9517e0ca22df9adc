"""A detector's gain and read noise from pictures of the same thing: the photon-transfer curve.

What is the same in two frames - the scene, uneven light, a fixed pattern of the pixels - cancels in
their difference; half its variance is that of the noise of one. Against the mean it is a straight
line, whose slope is the gain (Janesick, "Photon Transfer", SPIE 2007, chapters 5 and 6). Read noise
is known where the offset is: the line's value there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BLOCK = 16  # pixels a side: within it, light that changed from frame to frame is a constant
BINS = 32  # of brightness, with as many blocks each
ROUNDS = 10  # of reweighting
FAR = 2.0  # deviations from the line, beyond which a bin counts less
CELL = 4  # pixels a side, of means that noise from pixel to pixel has little of
BRIGHT = 75  # percentile of the blocks' means, from which on they are bright
STILL = 1.5  # power of cells' means over that of noise, which is 1 from pixel to pixel
# Range of the means, in standard errors of a bin, from which on a slope can be told.
RANGE = 8.0


@dataclass(frozen=True)
class PhotonTransfer:
    """The line variance = gain * mean + constant; both in the unit of the samples."""

    gain: float  # samples a photo-electron; twice that of an EMCCD, whose excess it holds
    gain_error: float  # standard error of the gain
    constant: float  # squares of the unit; read_noise^2 - gain * offset
    darkest: float  # mean of the darkest bin
    pairs: int  # of frames

    def read_noise(self, offset: float) -> float:
        """Standard deviation without light, where the offset is known; 0 where nothing is left."""
        return max(0.0, self.constant + self.gain * offset) ** 0.5


def photon_transfer(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> PhotonTransfer | None:
    """The line through pairs of frames (H, W) of the same thing, at least BLOCK pixels a side.

    None where their brightness hardly differs, so that there is no slope.
    """
    points = [block_points(*pair) for pair in pairs]
    mean, variance = (np.concatenate(column) for column in zip(*points, strict=True))
    order = np.argsort(mean)
    bins = [part for part in np.array_split(order, min(BINS, len(order) // 4 or 1)) if len(part)]
    x = np.array([_middle(mean[part]) for part in bins])
    y = np.array([_middle(variance[part]) for part in bins])
    if len(x) < 3 or not (y > 0).any():
        return None
    weight = 1 / np.maximum(y, 1e-3 * y.max()) ** 2
    keep = np.ones(len(x))
    for _ in range(ROUNDS):
        slope, constant, error = _line(x, y, weight * keep)
        off = np.abs(y - slope * x - constant) * np.sqrt(weight)
        usual = max(1.4826 * float(np.median(off)), 1e-9)
        keep = np.minimum(1, FAR * usual / np.maximum(off, 1e-12))
    if slope <= 0 or slope < RANGE * error / FAR:
        return None
    return PhotonTransfer(slope, error, constant, float(x[0]), len(pairs))


def is_still(frames: Sequence[np.ndarray]) -> bool:
    """Whether a series (H, W) each shows the same thing: what differs is noise from pixel to pixel.

    What moves leaves differences that are larger than a pixel. Looked at where it is brightest.
    """
    shares = []
    for one, two in pairwise(frames):
        change = one.astype(np.float64) - two
        height, width = (side // BLOCK * BLOCK for side in change.shape)
        cells = change[:height, :width].reshape(height // CELL, CELL, width // CELL, CELL)
        coarse = cells.mean((1, 3)).repeat(CELL, 0).repeat(CELL, 1) * CELL
        mean, fine = block_points(one, two)
        _, large = block_points(coarse, np.zeros_like(coarse))
        bright = mean >= np.percentile(mean, BRIGHT)
        # Of its blocks' (BLOCK / CELL)^2 means one goes to the light that may have changed.
        whole = (BLOCK / CELL) ** 2
        shares.append(
            _middle(large[bright]) * whole / (whole - 1) / max(_middle(fine[bright]), 1e-30)
        )
    return float(np.median(shares)) < STILL


def block_points(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and variance of the noise of one frame, in each block of two frames (H, W): (n,)."""
    height, width = (side // BLOCK * BLOCK for side in one.shape)
    shape = (height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    a, b = (p[:height, :width].astype(np.float64).reshape(shape) for p in (one, two))
    mean = ((a + b) / 2).mean((1, 3)).ravel()
    # One degree of freedom goes to the mean, by which light may have changed.
    return mean, (a - b).var((1, 3), ddof=0).ravel() / 2 * BLOCK**2 / (BLOCK**2 - 1)


def _middle(values: np.ndarray) -> float:
    """The mean of the middle half: what moves, or was hit, does not count."""
    low, high = np.percentile(values, (25, 75))
    return float(values[(values >= low) & (values <= high)].mean())


def _line(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, float, float]:
    """Slope, constant and standard error of the slope, by weighted least squares."""
    total = weight.sum()
    middle, level = (weight * x).sum() / total, (weight * y).sum() / total
    spread = (weight * (x - middle) ** 2).sum()
    if spread <= 0:
        return 0.0, float(level), float("inf")
    slope = (weight * (x - middle) * (y - level)).sum() / spread
    rest = y - level - slope * (x - middle)
    error = ((weight * rest**2).sum() / max(1, len(x) - 2) / spread) ** 0.5
    return float(slope), float(level - slope * middle), float(error)
