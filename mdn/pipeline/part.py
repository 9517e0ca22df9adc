"""Samples of a page that are denoised together: as stored, as a net sees them, and back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch

from mdn.encoding import Counts, Display, Stretched
from mdn.engine.device import choose_precision
from mdn.noise.analysis.lines import Banding
from mdn.pipeline import destripe
from mdn.pipeline.calibration import Calibration
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.hidden import Limits
from mdn.pipeline.neighbours import Neighbours
from mdn.pipeline.options import Options
from mdn.pipeline.page import Page
from mdn.pipeline.reading import Unit
from mdn.registry.model import Model

MEASURED = 128  # rows of a band, whose change is measured: more would say the same
PHOTONS = 64  # steps of whole numbers that a picture spans, in which photons may be told apart
FINE = 1 / 128  # sigma, of the range, below which 8 bits of precision would hide the noise


@dataclass(frozen=True)
class Part:
    """Some samples of a page, what is known of their noise, and what denoises them."""

    page: Page
    places: tuple[int, ...]  # which of the page's samples these are, counted among those
    coding: Display | Counts  # of the samples
    noise: NoiseConditioning
    model: Model
    options: Options
    spacing: int = 1  # how far apart samples must be to be shown to the net together
    limits: Limits | None = None  # what is usual; None: nothing can lie outside
    flat: int = 0  # pixels a side of a window that is exactly flat by no chance; 0: there are none
    faint: bool = False  # whether so few photons were counted that a net loses some of the light
    equal: bool = False  # whether all samples of a pixel are the same, and one stands for all
    neighbours: Neighbours | None = None  # planes beside it, that are averaged in
    bands: Banding | None = None  # stripes that are taken out before
    # of each band of rows as it is written: its samples, their squared changes, encoded, and
    # whether any is another than it was
    changes: list[tuple[int, float, bool]] = field(default_factory=list, compare=False, repr=False)

    @property
    def changed(self) -> float:
        """Root mean square of what was changed so far, as stored, encoded; 0 before."""
        samples = sum(count for count, _, _ in self.changes)
        return (sum(squares for _, squares, _ in self.changes) / max(1, samples)) ** 0.5

    @property
    def unchanged(self) -> bool:
        """Whether the page was denoised, and all samples are what they were."""
        return bool(self.changes) and not any(other for _, _, other in self.changes)

    def record(self, before: np.ndarray, after: np.ndarray) -> None:
        """Rows (h, w, S) of a page as stored, before and after, count for what was changed."""
        own, result = (rows[..., self._indices] for rows in (before, after))
        same = np.array_equal(own, result, equal_nan=own.dtype.kind == "f")
        few = slice(None, None, max(1, len(own) // MEASURED))
        off = np.zeros(1) if same else self.encode(after[few]) - self.encode(before[few])
        off = np.nan_to_num(off)
        self.changes.append((own.size, float(np.square(off).mean()) * own.size, not same))

    @property
    def scale(self) -> float:
        """How much of black to white an encoded difference of 1 is; 1 for counts."""
        return self.coding.scale if isinstance(self.coding, Display) else 1.0

    @property
    def channels(self) -> int:
        """Of what a net sees of it."""
        return 1 if self.equal else len(self.places)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do: the samples stay what they are, bit for bit."""
        if self.options.strength == 0:
            return True
        if not self.model.abilities.takes_sigma or self.model.answer is not None:
            return isinstance(self.coding, Counts) and self.noise.sigma == 0
        noise = self.noise
        impulses = noise.impulse_spread is not None or noise.places is not None
        nothing = noise.blend_weight == 0 and not impulses
        return nothing and self.bands is None

    @property
    def precision(self) -> torch.dtype | None:
        """The dtype to compute in, or None for float32; raises UsageError: no such precision."""
        faint = self.model.abilities.takes_sigma and 0 < self.noise.level < FINE
        if faint and isinstance(self.coding, Counts) and self.options.precision == "auto":
            return None
        wish, model = self.options.precision, self.model
        return choose_precision(wish, model.device, model.card.precisions)

    @property
    def keeps_light(self) -> bool:
        """Whether the mean around every place is to stay what it was: of what may be measured.

        Not beside noise that many neighbours share, of which a mean holds too much.
        """
        if isinstance(self.coding, Counts):
            return self.spacing == 1
        reading = self.noise.reading
        return isinstance(self.coding, Stretched) and reading is not None and not reading.coarse

    @property
    def may_count(self) -> bool:
        """Whether its darkest samples may be pixels without a photon, and not cut off."""
        if not isinstance(self.coding, Stretched) or self.coding.dtype.kind == "f":
            return False
        return self.coding.high - self.coding.low < PHOTONS

    @property
    def unit(self) -> Unit:
        """In which a sigma of it is said: deep pictures of a range of their own have their own."""
        if isinstance(self.coding, Stretched) and self.coding.dtype.itemsize > 1:
            return Unit(self.scale, self.coding.high - self.coding.low)
        return Unit(self.scale)

    def stripes(self) -> str:
        """What is said of the stripes that are taken out of counts; empty where there are none."""
        if self.bands is None:
            return ""
        kinds = zip(("row", "column"), self.bands.sigma, strict=True)
        words = [f"{kind} banding of {s / self.noise.level:.2g} of that" for kind, s in kinds if s]
        return f"{' and '.join(words)} taken out"

    def cropped(self, page: Page, rows: slice, columns: slice) -> Part:
        """The same for a page that is cut out of this one, from an even row and column on."""
        bands = None if self.bands is None else self.bands.cropped(rows, columns)
        return replace(self, page=page, bands=bands, changes=[])

    @cached_property
    def _indices(self) -> list[int]:
        return [self.page.samples[place] for place in self.places]

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """(h, w, S) as stored -> (h, w, channels) float32, NaN where it shows nothing."""
        page, seen = self.page, list(self.places[: self.channels])
        values = self.coding.encode(page.straight(stored)[..., seen])
        if not page.may_have_gaps and not isinstance(self.coding, Counts):
            return values
        valid = page.valid(stored)[..., seen]
        if isinstance(self.coding, Counts):
            valid = valid & self.coding.measured(stored[..., self._indices[: self.channels]])
        return values if valid.all() else np.where(valid, values, np.float32(np.nan))

    def decode(self, values: np.ndarray, stored: np.ndarray, row: int = 0) -> np.ndarray:
        """What came of `encode` -> (h, w, places) as stored; NaN: as it was. row: the first."""
        page, own = self.page, stored[..., self._indices]
        kept = np.isnan(values)
        some = bool(kept.any())
        if some:
            values = np.where(kept, np.float32(0), values)
        if self.equal:
            values, kept = (each.repeat(len(self.places), -1) for each in (values, kept))
        if isinstance(self.coding, Counts):
            result = self.coding.decode(values, own, self.options.share, row)
        elif page.alpha is not None and page.associated:
            result = self._multiplied(values, stored[..., page.alpha], row)
        else:
            result = self.coding.decode(values, row)
            if isinstance(self.coding, Stretched) and result.dtype.kind in "iu":
                # Nothing is clipped that was not, as of counts.
                top = np.iinfo(result.dtype).max
                result = np.where((result == top) & (own < top), top - 1, result)
        return np.where(kept, own, result) if some else result

    def _multiplied(self, values: np.ndarray, alpha: np.ndarray, row: int) -> np.ndarray:
        """Values, decoded and multiplied by alpha again; none becomes brighter than its alpha."""
        assert isinstance(self.coding, Display)
        dtype, full = self.page.dtype, Display(self.page.dtype).white
        wide = self.coding.decode(values, row).astype(np.float64)
        share = alpha.astype(np.float64)[..., None] / full
        if dtype.kind == "f":
            return (wide * share).astype(dtype)
        return np.rint(np.minimum(wide, full) * share).astype(dtype)

    def deviation(self, values: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Deviations of encoded values -> those of the samples (h, w, places)."""
        values, spread = np.nan_to_num(values), np.nan_to_num(spread)
        found = self.coding.deviation(values, spread)
        if isinstance(self.coding, Counts):
            found = found * self.options.share
        return found.repeat(len(self.places), -1) if self.equal else found


def takes_neighbours(model: Model) -> bool:
    """Whether it can be told the noise of each pixel, which is less where neighbours help."""
    return model.abilities.takes_sigma and model.answer is None


def part_of_counts(
    page: Page,
    places: tuple[int, ...],
    known: Calibration,
    model: Model,
    options: Options,
    neighbours: Neighbours | None = None,
) -> Part:
    """Samples of counted light; several places have equal samples, of which one stands for all.

    neighbours: planes beside it; only for a model that `takes_neighbours`.
    Each page has stripes of its own, as of a sheet of light, or a detector's that drift.
    """
    part = Part(
        page,
        places,
        known.coding,
        known.conditioning(model, options.sigma),
        model,
        options,
        known.spacing_for(model),
        known.limits,
        known.flat,
        known.faint,
        equal=len(places) > 1,
        neighbours=neighbours,
    )
    if part.idle or not model.abilities.takes_sigma or part.spacing > 1 or part.flat:
        return part
    return replace(part, bands=destripe.bands_of(page, part.encode))
