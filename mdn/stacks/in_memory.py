"""Counts in memory: pages of an array, or of a picture that is no stack."""

from collections.abc import Callable
from functools import partial

import numpy as np

from mdn.batch.uncertainty import StdMap
from mdn.engine.run import rows_of
from mdn.pipeline import counts
from mdn.pipeline.adapter import Adapter, Part
from mdn.pipeline.counts import Calibration
from mdn.pipeline.options import Options
from mdn.registry.model import Model
from mdn.stacks.calibration import Region, calibrate, region_of, sample


def denoise_counts(
    pages: np.ndarray,
    model: Model,
    options: Options,
    known: list[Calibration] | None = None,
    progress: Callable[[int, float], None] = lambda page, share: None,
    deviations: StdMap | None = None,
    adapter: Adapter | None = None,
) -> np.ndarray:
    """Pages (P, H, W, C) as stored -> the same, denoised as counts, channel by channel.

    Args:
        known: what `calibrated` found of each channel.
        progress: takes the index of a page and the share of it that is done.
        deviations: takes those of the passes; only with options.with_std.
        adapter: fits the model to the pages first.

    Raises OutOfMemoryError: the smallest tile does not fit.
    """
    channels = range(pages.shape[-1])
    known = known or calibrated(pages)
    if adapter is not None:
        model = adapter.to_parts(partial(_parts, pages, known, model), model)
    result = np.empty_like(pages)
    for index, (page, clean) in enumerate(zip(pages, result, strict=True)):
        std = None
        if deviations is not None:
            take = deviations.page(index)
            std = lambda start, values, deviation, take=take: take(start, deviation)  # noqa: E731
        counts.restore(
            rows_of(page, clean), channels, known, model, options, partial(progress, index), std
        )
    return result


def calibrated(pages: np.ndarray) -> list[Calibration]:
    """What is to be known of each channel of pages (P, H, W, C)."""
    return [calibrate(_regions(pages, c), pages.dtype) for c in range(pages.shape[-1])]


def _parts(pages: np.ndarray, known: list[Calibration], model: Model) -> list[Part]:
    return [
        part
        for c, each in enumerate(known)
        for plane in sample(_regions(pages, c))
        for part in each.parts(plane, model)
    ]


def _regions(pages: np.ndarray, channel: int) -> list[tuple[tuple[int, int], Region]]:
    """The planes of one channel, each with a way to read a part of it."""
    return [(page.shape[:2], region_of(page[..., channel])) for page in pages]
