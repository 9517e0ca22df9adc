"""Photos as stored. decode(encode(x)) is x."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Display:
    """Photos as stored: the full scale of the dtype becomes 0..1; floats are taken as they are."""

    # of the stored samples. It alone sets the depth; the largest value plays no part.
    dtype: np.dtype

    @property
    def white(self) -> float:
        """The stored value of white: the largest of an integer dtype, 1.0 of a float."""
        return float(np.iinfo(self.dtype).max) if self.dtype.kind in "ui" else 1.0

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """Stored samples -> float32, 0..1 for integers."""
        return stored.astype(np.float32) / np.float32(self.white)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """float32 -> stored samples: clipped and rounded for integers, as they are for floats."""
        if self.dtype.kind == "f":
            return values.astype(self.dtype)
        scaled = values.astype(np.float32) * np.float32(self.white)
        return np.rint(np.clip(scaled, 0, self.white)).astype(self.dtype)

    def deviation(self, values: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """A standard deviation of encoded values -> that of the stored samples."""
        return spread * np.float32(self.white)
