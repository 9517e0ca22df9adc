"""What a page asks for: how it is encoded, what its noise is, and what is kept out of it.

One look at a bounded sample of the page decides it, before any of it is denoised.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mdn.encoding import Display, Rec2100, Stretched
from mdn.engine.run import Encode
from mdn.noise.analysis.lines import Banding
from mdn.pipeline import destripe, hidden
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.options import Options
from mdn.pipeline.page import Page
from mdn.pipeline.part import Part
from mdn.pipeline.sample import in_windows
from mdn.registry.model import Model

NoisyPart = tuple[np.ndarray, NoiseConditioning]
"""(h, w, C) encoded, and what is known of its noise."""


class Adapter(Protocol):
    """Fits to a picture a model, and what is known of its noise. Both ways give what to use."""

    def to_page(
        self,
        page: np.ndarray,
        encode: Encode,
        bands: Banding | None,
        noise: NoiseConditioning,
        model: Model,
    ) -> tuple[Model, NoiseConditioning, Banding | None]:
        """To a page (H, W, C) as stored; what was found of its banding and noise comes in."""
        ...

    def to_parts(self, parts: Callable[[], Sequence[NoisyPart]], model: Model) -> Model:
        """To parts of the planes of a stack."""
        ...


BRIGHT, DARK = 2.0, 0.25  # times white: colours that go further, or not so far, have another unit
ENDS = 0.01, 99.99  # percentiles of the usual samples that become 0 and 1 then
MUCH = 0.2  # share of a picture that is flat, from which on noise is measured beside it alone
HARDLY = 0.5  # share of a sigma that was given; less than that, changed, is not "removed"


@dataclass(frozen=True)
class Plan:
    """What is to be done to a page as it is shown, and what is to be said of it."""

    part: Part
    noise: NoiseConditioning | None  # None for a model that takes nothing of the kind
    removed: str = "removed"  # what becomes of the noise, in words
    # what is to be said besides, such as that values are far above white
    notes: tuple[str, ...] = ()

    def describe(self) -> dict[str, object]:
        """Facts about the noise on the 0-255 scale, JSON-able; none where it was not asked for."""
        if self.noise is None:
            return {}
        noise, bands = self.noise, self.part.bands
        rows, columns = (0.0, 0.0) if bands is None else bands.sigma
        scale, estimate = self.part.scale, noise.estimate
        facts: dict[str, object] = {
            "noise": {
                "sigma": round(255 * scale * noise.level, 3),
                "by_brightness": estimate is not None and estimate.signal_dependent,
                "correlated": estimate is not None and estimate.correlated,
                "impulses": round(estimate.impulses, 5) if estimate and estimate.impulsive else 0.0,
                "banding": {
                    "rows": round(255 * scale * rows, 3),
                    "columns": round(255 * scale * columns, 3),
                },
                **({} if noise.reading is None else noise.reading.describe(scale)),
            }
        }
        if noise.dead_zone and self.part.unchanged:
            noise = replace(noise, blend_weight=0.0, impulse_spread=None)
        lines = [] if bands is None else [bands.in_words(scale) + " taken out"]
        facts["summary"] = lines + noise.in_words(self._removed(), self.part.unit)
        return facts

    def _removed(self) -> str:
        """What became of the noise; where it was, a net may have found nothing to remove."""
        noise = self.noise
        told = noise is not None and (noise.estimate is None or noise.reading is not None)
        if not told or noise is None or not self.part.changes or self.part.model.answer:
            return self.removed
        if self.part.unchanged:
            return "not removed: unchanged, as it looks like texture; try another --model"
        if self.part.changed < HARDLY * noise.sigma * noise.blend_weight * self.part.options.share:
            changed = f"changed by {255 * self.part.scale * self.part.changed:.2g} only"
            return f"not removed: {changed}, as it looks like texture; try another --model"
        return self.removed


def plan_display(
    page: Page,
    model: Model,
    options: Options,
    adapter: Adapter | None = None,
    *,
    stretch: Stretched | None = None,
) -> Plan:
    """For a page as it is shown.

    Args:
        adapter: fits the model to the page first; only where the page is in memory.
        stretch: the coding of a channel of which this is a plane; None: found here.

    Raises FileError, ModelError: the page cannot be read, or the weights of a second net.
    """
    stored = survey(page)
    everything = page.straight(stored)
    valid = page.valid(stored)
    coding: Display | Rec2100 = stretch or coding_for(page, everything, valid)
    notes = beyond_white(page, coding)
    equal = page.colour and len(page.samples) > 1 and all_equal(page, stored)
    part = Part(page, tuple(range(len(page.samples))), coding, NoiseConditioning(), model, options)
    part = replace(part, equal=equal)
    takes_sigma = model.abilities.takes_sigma
    values = part.encode(stored)
    # What is exactly flat, and what lies far outside, says nothing of the noise.
    x = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
    side = hidden.flat_side(x)
    limited = coding.dtype.kind == "f" or isinstance(coding, Stretched)
    if limited:
        x = x.masked_fill(hidden.limits_of(x, 0.0).beyond(x), torch.nan)
    bands, noise = None, NoiseConditioning()
    if takes_sigma:
        drawn = hidden.is_drawn(x) and _drawn(page, part.encode)
        bands = None if drawn else destripe.bands_of(page, part.encode)
        if bands is not None:
            rows, columns = (torch.from_numpy(v) for v in in_windows(*page.shape[:2]))
            x = bands.removed(x, rows, columns)
        noise = _noise_of(x, side, part, drawn=drawn)
    if adapter is not None and page.array is not None:
        array = page.array[..., list(page.samples[: part.channels])]
        model, noise, bands = adapter.to_page(array, coding.encode, bands, noise, model)
    part = replace(part, noise=noise, model=model, bands=bands)
    if takes_sigma and bands is None:  # stripes are flat along themselves
        part = replace(part, flat=side)
    if limited:
        part = replace(part, limits=hidden.limits_of(x, noise.level))
    return Plan(part, noise if takes_sigma else None, options.removed, notes)


def _noise_of(x: Tensor, side: int, part: Part, *, drawn: bool) -> NoiseConditioning:
    """The noise of a sample (C, h, w), encoded, without its stripes.

    Args:
        side: of the windows that are exactly flat by no chance; 0: there are none.
        drawn: whether all of the page is made of areas of one value.
    """
    flat = torch.zeros_like(x[:1], dtype=torch.bool)
    if side:
        flat = hidden.kept_areas(x[None], side, 0.0)[0]
    share = float(flat.float().mean())
    # A codec of 8 bits leaves some places flat that are a part of the picture.
    most = MUCH if part.coding.dtype == np.uint8 else 0.0
    sigma = None if drawn or part.options.sigma is None else part.options.sigma / part.scale
    noise = judge_sample(x, part.model, sigma, flat if share > most else None)
    if drawn or (bool(flat.all()) and _whole(part.page)):
        return replace(noise, flat=1.0, blend_weight=0.0)
    return replace(noise, flat=share)


def survey(page: Page) -> np.ndarray:
    """(h, w, S) as stored: all of a page, or windows spread over a large one, side by side."""
    spans = [_spans(places) for places in in_windows(*page.shape[:2])]
    return np.concatenate(
        [np.concatenate([page.region(*y, *x) for x in spans[1]], 1) for y in spans[0]], 0
    )


def _spans(indices: np.ndarray) -> list[tuple[int, int]]:
    """The runs of consecutive rows or columns, as (start, stop)."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(indices, breaks)]


def coding_for(page: Page, stored: np.ndarray, valid: np.ndarray) -> Display | Rec2100:
    """How a page is encoded: as it is shown, or from the range that it has.

    Colours of 8 bits span them. What is gray is measured as often as it is shown, in any unit, and
    so are colours that lie far beyond white, or far below it, as 12 bits do within 16.

    Args:
        stored: (h, w, C), a sample of the page. valid: likewise, bool; which hold anything.
    """
    shown = page.shown
    if isinstance(shown, Rec2100) or not valid.any():
        return shown
    ends = range_of(stored, valid)
    gray, top = len(page.samples) == 1, ends[1] / shown.white
    if not gray and (shown.dtype.name == "uint8" or DARK <= top <= BRIGHT):
        return shown
    low = ends[0] if gray else min(0.0, ends[0])
    return Stretched(shown.dtype, low, ends[1]) if low < ends[1] else shown


def range_of(stored: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """What the usual samples go from and to; their ends where they were cut off."""
    values = np.where(valid, stored, 0).astype(np.float64)
    usual = values[hidden.usual_samples(values, valid)]
    low, high = (float(v) for v in np.percentile(usual, ENDS))
    if stored.dtype.kind in "ui":
        limits = np.iinfo(stored.dtype)
        low = float(limits.min) if (usual == limits.min).mean() > 1e-4 else low
        high = float(limits.max) if (usual == limits.max).mean() > 1e-4 else high
    return low, high


def beyond_white(page: Page, coding: Display | Rec2100) -> tuple[str, ...]:
    """What is odd about colours as floats in another unit than 0 to 1, in words."""
    if (
        page.colour
        and isinstance(coding, Stretched)
        and coding.dtype.kind == "f"
        and coding.high > BRIGHT
    ):
        return (f"holds values up to {coding.high:.3g}: taken for white",)
    return ()


def all_equal(page: Page, sample: np.ndarray) -> bool:
    """Whether all samples of each pixel are the same, as in a gray picture stored as RGB."""
    chosen = list(page.samples)

    def equal(stored: np.ndarray) -> bool:
        own = stored[..., chosen]
        return bool((own == own[..., :1]).all())

    return equal(sample) and all_rows(page, equal)


def all_rows(page: Page, holds: Callable[[np.ndarray], bool]) -> bool:
    """Whether something holds for all rows of a page, a band at a time."""
    height = page.shape[0]
    bands = range(0, height, destripe.READ)
    return all(holds(page.rows.read(y, min(height, y + destripe.READ))) for y in bands)


def _drawn(page: Page, encode: Encode) -> bool:
    """Whether all of a page is made of areas of one value; of a sample it is known."""
    if _whole(page):
        return True

    def drawn(stored: np.ndarray) -> bool:
        return hidden.is_drawn(torch.from_numpy(encode(stored).transpose(2, 0, 1).copy()))

    return all_rows(page, drawn)


def _whole(page: Page) -> bool:
    """Whether a sample of a page is all of it."""
    rows, columns = in_windows(*page.shape[:2])
    return (len(rows), len(columns)) == page.shape[:2]
