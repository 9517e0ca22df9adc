"""What a detector makes of light, in numbers from its data sheet or from its own pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mdn.encoding.anscombe import Anscombe
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
