"""What is fitted of the noise of a picture: a few numbers, for the picture itself or others."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mdn.noise.analysis.curve import Curve


@dataclass(frozen=True)
class NoiseFit:
    """What was found, to be used for the picture itself or for others of its kind."""

    # of waves; their strength and phase are each picture's own
    frequencies: tuple[tuple[float, float], ...] = ()
    # for each channel the places in 2 x 2 pixels that are interpolated, nested; empty for none
    places: tuple[tuple[tuple[bool, ...], ...], ...] = ()
    looks: float = 0.0  # of speckle; 0 for none
    rician: float = 0.0  # sigma of Rician noise; 0 for none
    dither: float = 0.0  # distance of the levels between which samples were dithered; 0 for none
    curve: Curve | None = None  # that goes with them, on the brightness of what the net makes
    counts: bool = False  # whether a gray picture as shown is read as counted light
    gain: float = 0.0  # dB, estimated from what the fit changes; 0 where nothing was found
    seconds: float = field(default=0.0, compare=False)  # that it took

    @property
    def found(self) -> bool:
        """Whether there is anything to do that the plain pass does not."""
        return bool(self.in_words())

    def in_words(self) -> list[str]:
        """What is fitted."""
        words = [f"stripes every {1 / math.hypot(*each):.3g} pixels" for each in self.frequencies]
        if self.places:
            count = sum(flag for channel in self.places for row in channel for flag in row)
            words.append(f"{count} of {4 * len(self.places)} places of a mosaic interpolated")
        if self.counts:
            words.append("read as counted light, as of a microscope")
        if self.looks:
            words.append(f"speckle of {self.looks:.2g} looks, brightness lost at white")
        if self.rician:
            words.append(f"Rician noise of sigma {255 * self.rician:.2g}, dark places darkened")
        if self.dither:
            words.append(f"dither in steps of {255 * self.dither:.2g}")
        return words
