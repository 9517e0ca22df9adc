"""Microscopy: counts of photons above a camera's pedestal, in whatever unit the file has.

Brightness has no natural white. Where the noise is known the generalised Anscombe transform makes
it equally strong everywhere, and then the noise is the unit: nets for counts have no bias, and
scale with their input, so that the range decides nothing. All is that of the whole stack, never of
a tile: two tiles of one picture, and two slices of one stack, are encoded alike.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mdn.encoding.anscombe import Anscombe
from mdn.encoding.display import FEW, few_steps, rounded
from mdn.errors import UsageError

OPTIONS = "--gain, --offset, --read-noise"


@dataclass(frozen=True)
class Detector:
    """Samples of mean x have the variance gain * (x - offset) + read_noise^2.

    Raises UsageError: a gain that is not above 0, a negative read noise, or no numbers.
    """

    gain: float  # stored units a photo-electron, above 0; twice that for an EMCCD's excess noise
    offset: float  # stored units without light
    read_noise: float  # standard deviation without light, stored units

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gain) and self.gain > 0):
            raise UsageError(f"--gain {self.gain:g}: choose a number above 0")
        if not math.isfinite(self.offset):
            raise UsageError(f"--offset {self.offset:g}: choose a number")
        if not (math.isfinite(self.read_noise) and self.read_noise >= 0):
            raise UsageError(f"--read-noise {self.read_noise:g}: choose 0 or more")

    @property
    def anscombe(self) -> Anscombe:
        """The transform that makes its noise equally strong everywhere."""
        return Anscombe(self.gain, self.read_noise**2 - self.gain * self.offset)

    def in_words(self) -> str:
        """As the options are written."""
        return (
            f"--gain {self.gain:.4g} --offset {self.offset:.5g} --read-noise {self.read_noise:.4g}"
        )


def detector_of(
    gain: float | None, offset: float | None, read_noise: float | None
) -> Detector | None:
    """The detector that all three describe; None where none is given.

    Raises UsageError: one is missing, or makes no sense.
    """
    if gain is None and offset is None and read_noise is None:
        return None
    if gain is None or offset is None or read_noise is None:
        raise UsageError(
            f"{OPTIONS} go together: `mdn noise --estimate` prints all three of a stack"
        )
    return Detector(gain, offset, read_noise)


SIGMAS = 20.0  # of stabilised noise, that an encoded 1 stands for where there is a centre
LOW, HIGH = 0.1, 99.9  # percentiles of the stack that become 0 and 1


@dataclass(frozen=True)
class Counts:
    """One channel of a stack."""

    dtype: np.dtype  # of the stored samples
    # low, high: what nearly all samples lie between, in the unit of the file; high is above low. It
    # becomes 0 and 1, where there is no centre.
    low: float
    high: float
    # the transform that stabilises the noise, in that unit, or None where there is none
    curve: Anscombe | None = field(default=None)
    # the value that becomes 0.5, where the unit is the noise and not the range; or None
    centre: float | None = None
    # the value with which it was padded, as registration does, or None: it stays as it is
    padding: float | None = None
    # below this there is no light, only a value for no data; the transform would not tell how far
    least: float | None = None

    @property
    def level(self) -> float | None:
        """Standard deviation of the noise of encoded values; None where it is not stabilised."""
        return None if self.curve is None else 1 / self._span

    @property
    def few(self) -> bool:
        """Whether its whole numbers are too few for the means of a denoiser to be rounded to."""
        return self.dtype.kind in "iu" and self.high - self.low < FEW

    def measured(self, stored: np.ndarray) -> np.ndarray:
        """Whether samples show anything: those that are no numbers do not, nor does padding."""
        numbers = np.isfinite(stored) if self.dtype.kind == "f" else np.ones(stored.shape, bool)
        if self.least is not None:
            numbers &= stored >= self.least
        return numbers if self.padding is None else numbers & (stored != self.padding)

    @property
    def has_gaps(self) -> bool:
        """Whether samples may show nothing: see `measured`."""
        return self.dtype.kind == "f" or self.padding is not None or self.least is not None

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """Stored samples -> float32, mostly 0..1. Those that show nothing become 0."""
        x = stored.astype(np.float32)
        if self.has_gaps:
            x = np.where(self.measured(stored), x, np.float32(self.low))
        y = x if self.curve is None else self.curve.forward(x)
        return (y - np.float32(self._black)) * np.float32(1 / self._span)

    def decode(
        self, values: np.ndarray, stored: np.ndarray, strength: float = 1.0, row: int = 0
    ) -> np.ndarray:
        """What a denoiser made of encoded values -> samples, in place of the stored ones.

        No sample leaves the dtype, or reaches its largest value that had not reached it before:
        nothing is clipped that was not. Samples that show nothing stay what they are.

        Args:
            values: float32; of the mean of the encoding, as a denoiser gives it.
            row: of the picture, that these begin with; see encoding.display.
            strength: 1 gives the values, 0 the stored samples, between the two are mixed.
        """
        y = values * np.float32(self._span) + np.float32(self._black)
        x = y if self.curve is None else self.curve.inverse(y)
        if strength < 1 or self.dtype.itemsize > 4:
            x = stored + strength * (x.astype(np.float64) - stored)
        if self.dtype.kind == "f":
            return np.where(self.measured(stored), x, stored).astype(self.dtype)
        limits = np.iinfo(self.dtype)
        # float32 holds no 2^32 - 1: clipping must be done where whole numbers are whole.
        wide = x.astype(np.float64)
        few = few_steps(self.dtype, self.high - self.low)
        whole = rounded(wide, row) if few else np.rint(wide)
        clean = whole.clip(limits.min, limits.max).astype(self.dtype)
        clean = np.where((clean == limits.max) & (stored < limits.max), limits.max - 1, clean)
        return np.where(self.measured(stored), clean, stored) if self.has_gaps else clean

    def light(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a denoiser made of encoded values -> means of samples, float64, not rounded.

        The second is by how much they change with the values, above 0.
        """
        y = values.astype(np.float64) * self._span + self._black
        if self.curve is None:
            return y, np.full_like(y, self._span)
        mean = self.curve.inverse(y)
        step = max(abs(self._span) * 1e-3, 1e-9)
        slope = (self.curve.inverse(y + step) - mean) / step * self._span
        return mean, np.maximum(slope, 1e-3 * self._span)

    def samples(self, values: np.ndarray) -> np.ndarray:
        """Encoded samples, as noisy as they were -> as stored, float64."""
        y = values.astype(np.float64) * self._span + self._black
        return y if self.curve is None else self.curve.algebraic(y)

    def seen(self, light: np.ndarray) -> np.ndarray:
        """The way back from `light`, float32."""
        y = light if self.curve is None else self.curve.mean(light)
        return ((y - self._black) / self._span).astype(np.float32)

    def deviation(self, values: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """A standard deviation of encoded values -> that of the samples, to first order."""
        y, step = values * np.float32(self._span) + np.float32(self._black), spread * self._span
        if self.curve is None:
            return np.abs(step)
        return np.abs(self.curve.inverse(y + step) - self.curve.inverse(y - step)) / 2

    @cached_property
    def _black(self) -> float:
        if self.centre is not None and self.curve is not None:
            return self._through(self.centre) - SIGMAS / 2
        return self._through(self.low)

    @cached_property
    def _span(self) -> float:
        if self.centre is not None and self.curve is not None:
            return SIGMAS
        return max(self._through(self.high) - self._black, 1e-12)

    def _through(self, x: float) -> float:
        return x if self.curve is None else float(self.curve.forward(np.float64(x)))  # type: ignore
