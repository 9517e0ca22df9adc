"""Denoising a photograph, or any picture as it is shown; see also `counts` and `linear`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from mdn.encoding import Display, Rec2100
from mdn.engine.run import RowStream, StdOutput, stream
from mdn.noise.analysis.banding import Banding
from mdn.pipeline import destripe
from mdn.pipeline.adapter import Adapter
from mdn.pipeline.blend import blend, kept
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import Progress, denoise_tiles, no_progress, tiled
from mdn.pipeline.fill import NEAR, filled
from mdn.pipeline.judge import judge
from mdn.pipeline.multiscale import coarse_residual
from mdn.pipeline.options import Options, geometry, runtime
from mdn.pipeline.specialist import specialist
from mdn.registry.model import Model, Origins

BEYOND = 2.0  # times white: floats that go further are hardly meant to be seen with white at 1


@dataclass(frozen=True)
class Restored:
    """A page, denoised, and what was known of its noise."""

    pixels: np.ndarray  # (H, W, C) in the dtype it came in
    # as the model took it; None for a model that takes nothing of the kind
    noise: NoiseConditioning | None
    bands: Banding | None  # the offsets of rows and columns that were taken out, or None
    removed: str = "removed"  # what became of the noise, in words

    def describe(self) -> dict[str, object]:
        """Facts about the noise on the 0-255 scale, JSON-able; none where it was not asked for."""
        if self.noise is None:
            return {}
        rows, columns = (0.0, 0.0) if self.bands is None else self.bands.sigma
        found = self.noise.estimate
        facts: dict[str, object] = {
            "noise": {
                "sigma": round(255 * self.noise.level, 3),
                "by_brightness": found is not None and found.signal_dependent,
                "correlated": bool(self.noise.scales),
                "impulses": round(found.impulses, 5) if found and found.impulsive else 0.0,
                "banding": {"rows": round(255 * rows, 3), "columns": round(255 * columns, 3)},
                **({} if self.noise.reading is None else self.noise.reading.describe()),
            }
        }
        bands = [] if self.bands is None else [self.bands.in_words() + " taken out"]
        facts["summary"] = bands + self.noise.in_words(self.removed)
        return facts


def beyond_white(pages: np.ndarray, coding: Display | Rec2100) -> str:
    """What is odd about samples far brighter than white, in words; or nothing."""
    top = float(pages.max())
    odd = top > BEYOND * coding.white
    return f"holds values up to {top:.3g}, but 1 is white: scale them" if odd else ""


def restore(
    page: np.ndarray,
    model: Model,
    options: Options,
    progress: Progress = no_progress,
    std_output: StdOutput | None = None,
    adapter: Adapter | None = None,
    coding: Display | Rec2100 | None = None,
    protect: np.ndarray | None = None,
    opaque: np.ndarray | None = None,
) -> Restored:
    """A page (H, W, C) as stored -> the same, denoised.

    Args:
        std_output: takes the deviation between passes, encoded, band by band; see engine.RowStream.
            Only with options.with_std.
        adapter: fits the model to the page first.
        coding: what the samples mean; as they are shown, if None.
        protect: (H, W) float32, 0..1: 1 where the page stays as it is.
        opaque: (H, W) bool, where it can be seen, and its noise is measured.

    Raises:
        OutOfMemoryError: the smallest tile does not fit.
    """
    coding = coding or Display(page.dtype)
    takes_sigma = model.abilities.takes_sigma
    bands = destripe.find(page, coding.encode) if takes_sigma else None
    noise = judge(page, coding.encode, bands, model, options, opaque)
    model = specialist(model, noise)
    if adapter is not None:
        model, noise, bands = adapter.to_page(page, coding.encode, bands, noise, model)
    residual = coarse_residual(page, coding.encode, bands, noise, model, options)

    def clean(tiles: Tensor, origins: Origins) -> Tensor:
        x = destripe.remove(tiles, origins, bands, page.shape[:2])
        x = residual.added_to(x, origins) if residual else x
        y = denoise_tiles(x, origins, noise.finest(), model, options)
        return blend(tiles, y, options, kept(tiles, origins, noise, protect))

    pixels = tiled(clean, model, options, page, coding.encode, coding.decode, progress, std_output)
    return Restored(pixels, noise if takes_sigma else None, bands, options.removed)


def restore_rows(
    rows: RowStream,
    dtype: np.dtype,
    samples: list[int],
    colour: bool,
    noise: NoiseConditioning,
    model: Model,
    options: Options,
    progress: Progress = no_progress,
) -> None:
    """A plane of a stack, as it is shown, from where it is read to where it goes.

    Samples that are no numbers stay what they are. Stripes and exactly flat places, which `restore`
    finds, are not looked for.

    Args:
        rows: the plane; its samples are (h, W, S), of this dtype.
        samples: which of the S are denoised; the others leave as they came.
        colour: whether they are the colours of one picture; else each is one of its own.
        noise: of the whole plane; see `judge.judge_sample`.
    """
    coding = Display(dtype)

    def encode(stored: np.ndarray) -> np.ndarray:
        chosen = stored[..., samples]
        return filled(coding.encode(chosen), np.isfinite(chosen), NEAR)

    def decode(values: np.ndarray, stored: np.ndarray) -> np.ndarray:
        result = stored.copy()
        chosen = stored[..., samples]
        result[..., samples] = np.where(np.isfinite(chosen), coding.decode(values), chosen)
        return result

    def clean(tiles: Tensor, origins: Origins) -> Tensor:
        y = denoise_tiles(tiles, origins, noise, model, options, separate=not colour)
        return blend(tiles, y, options)

    where, how = geometry(model, options), runtime(model, options)
    stream(clean, where, how, rows, encode, decode, progress)
