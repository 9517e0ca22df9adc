"""Pictures as shown. decode(encode(x)) is x for integers."""

from dataclasses import dataclass

import numpy as np

FEW, SOME = 16, 4096  # steps from dark to bright, of bytes and of larger numbers
PLASTIC = 1.324717957244746  # the real root of x^3 = x + 1


def few_steps(dtype: np.dtype, steps: float) -> bool:
    """Whether a picture of a dtype, which spans so many steps, loses light to plain rounding.

    Where it is smooth, all of it lies on the same side of a whole number.
    """
    return dtype.kind in "iu" and steps < (FEW if dtype.itemsize == 1 else SOME)


def rounded(x: np.ndarray, row: int) -> np.ndarray:
    """Rows of a picture (h, w) or (h, w, C), from `row` on, rounded to whole numbers, float.

    Up or down by thresholds from 0 to 1 that are spread as evenly as can be around every place, so
    that every few pixels keep their mean: fractional parts of multiples of powers of the plastic
    number (Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018).
    """
    down = (np.arange(x.shape[0]) + row) / PLASTIC
    across = np.arange(x.shape[1]) / PLASTIC**2
    thresholds = (down[:, None] + across) % 1.0
    return np.asarray(np.floor(x + thresholds.reshape(x.shape[:2] + (1,) * (x.ndim - 2))))


@dataclass(frozen=True)
class Display:
    """Photos as stored: the full scale of the dtype becomes 0..1; floats are taken as they are."""

    # of the stored samples. It alone sets the depth; the largest value plays no part.
    dtype: np.dtype

    @property
    def white(self) -> float:
        """The stored value of white: the largest of an integer dtype, 1.0 of a float."""
        return float(np.iinfo(self.dtype).max) if self.dtype.kind in "ui" else 1.0

    @property
    def scale(self) -> float:
        """How much of black to white an encoded difference of 1 is; above 0."""
        return 1.0

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """Stored samples -> float32, 0..1 for integers."""
        return stored.astype(np.float32) / np.float32(self.white)

    def decode(self, values: np.ndarray, row: int = 0) -> np.ndarray:
        """float32 -> stored samples: clipped and rounded for integers, as they are for floats."""
        if self.dtype.kind == "f":
            return values.astype(self.dtype)
        scaled = values.astype(np.float32) * np.float32(self.white)
        return np.rint(np.clip(scaled, 0, self.white)).astype(self.dtype)

    def deviation(self, values: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """A standard deviation of encoded values -> that of the stored samples."""
        return spread * np.float32(self.white)


@dataclass(frozen=True)
class Stretched(Display):
    """Samples of which only a part of the scale is used, or more than it.

    What the picture itself goes from and to becomes 0 and 1, so that it does not matter in which
    unit it was stored.
    """

    low: float  # becomes 0
    high: float  # becomes 1; above low

    @property
    def scale(self) -> float:
        """How much of black to white an encoded difference of 1 is; above 0."""
        return (self.high - self.low) / self.white

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """Stored samples -> float32, mostly 0..1."""
        wide = stored.astype(np.float64)
        return ((wide - self.low) / (self.high - self.low)).astype(np.float32)

    def decode(self, values: np.ndarray, row: int = 0) -> np.ndarray:
        """float32 -> stored samples: clipped to the dtype and rounded for integers.

        row: of the picture, that the values begin with; see encoding.display.
        """
        wide = values.astype(np.float64) * (self.high - self.low) + self.low
        if self.dtype.kind == "f":
            return wide.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        few = few_steps(self.dtype, self.high - self.low)
        whole = rounded(wide, row) if few else np.rint(wide)
        return np.clip(whole, limits.min, limits.max).astype(self.dtype)

    def deviation(self, values: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """A standard deviation of encoded values -> that of the stored samples."""
        return spread * np.float32(self.high - self.low)
