"""The noise of one picture as a net takes it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mdn.noise.analysis.brightness import Curve, Stabiliser
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline.reading import SHOWN, NoiseReading, Unit

FAINTEST = 0.5 / 255  # sigma below which a picture is left alone, up to..
FAINT = 2.0 / 255  # ..where the net is followed all the way


@dataclass(frozen=True)
class NoiseConditioning:
    """The noise of a picture as a net takes it: of the whole, so that tiles agree."""

    sigma: float = 0.0  # standard deviation of the noise, nominal range 0..1, after the stabiliser
    # (a, b, c) where it depends on brightness: at brightness x the deviation is sigma times the
    # root of a + b x + c x^2. None where it is the same everywhere.
    variance_curve: tuple[float, ...] | None = None
    # a curve on brightness that makes it the same everywhere, or None
    stabiliser: Stabiliser | None = None
    # how far apart neighbours usually lie, to find impulses by; None where there are no impulses
    impulse_spread: float | None = None
    # whether every lonely black or white sample is an impulse as well
    impulses_at_ends: bool = False
    # how far to follow the net: 0 for a clean picture, 1 from a faint noise on
    blend_weight: float = 1.0
    # what all this was derived from; None if the user gave sigma
    estimate: NoiseEstimate | None = None
    # for a net that judges the noise, what its judge read; such a net takes this, `gain` and
    # `floor`, and no sigma
    reading: NoiseReading | None = None
    flat: float = 0.0  # share of the picture that is exactly flat, and stays; see pipeline.hidden
    # gain, floor: factor on the net's map of sigmas, and what is added before, for a sigma that the
    # user gave; nominal range 0..1
    gain: float = 1.0
    floor: float = 0.0
    # (C, 2, 2) bool: places in 2 x 2 pixels whose samples are interpolated from their neighbours;
    # see noise.analysis.phases. None for none.
    places: Tensor | None = None
    # corrects the brightness of the result, for speckle whose peaks were cut off at white
    curve: Curve | None = None
    # samples that the net would change by less stay, nominal range 0..1: in a picture without noise
    # but for impulses
    dead_zone: float = 0.0

    @property
    def judged(self) -> dict[str, object]:
        """Arguments of a net that judges the noise, besides picture and mask."""
        if self.reading is None:
            raise ValueError("nothing was read for a net that judges the noise")
        return {"noise": self.reading.descriptor, "gain": self.gain, "floor": self.floor}

    @property
    def level(self) -> float:
        """The noise of the picture as it came, nominal range 0..1."""
        return self.sigma if self.estimate is None else self.estimate.sigma

    def in_words(self, removed: str = "removed", unit: Unit = SHOWN) -> list[str]:
        """One line on what was found and done.

        Args:
            removed: see `Options.removed`.
            unit: in which a sigma is said.
        """
        told = f"{unit.given(self.sigma)}, as given"
        if self.reading is None:
            if self.estimate is None:
                return [f"{told}: {removed}"]
            if self.blend_weight == 0 and self.impulse_spread is None:
                return [f"no noise found: unchanged ({unit.words(self.level)})"]
            return [f"{unit.words(self.level)}: {removed}"]
        found = self.reading.in_words(unit)
        if self.estimate is None:
            return [f"{told}: {removed} (measured: {found or 'none'})"]
        if self.blend_weight == 0 and self.impulse_spread is None:
            if self.flat == 1:
                return ["no noise found: areas of exactly one value, unchanged"]
            return [f"no noise found: unchanged ({unit.words(self.sigma)})"]
        if self.flat > 0 and self.blend_weight > 0 and not removed.startswith("not"):
            share = max(1, round(100 * self.flat))
            return [f"{found}: {removed}, but for {share} % of the picture, which is exactly flat"]
        return [f"{found}: {removed}"]


def blend_weight(sigma: float) -> float:
    """How far to follow a net for noise of that sigma: less where there is hardly any."""
    return min(1.0, max(0.0, (sigma - FAINTEST) / (FAINT - FAINTEST)))
