"""Denoising linear light of any range: one layer of a render.

The net's answer is refined by albedo and normals (`refine`). Last, what light was lost on the way
comes back (`keep_whole_light`, `keep_light`).
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.encoding import Hdr, Srgb
from mdn.pipeline import external, windows
from mdn.pipeline.denoise_tiles import Guides, Progress, denoise_tiles, no_progress, tiled
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.options import Options
from mdn.pipeline.sample import sample_for_estimation
from mdn.registry.model import Model, Origins

RADIUS = 8  # pixels to each side, of the windows of the refinement: what a net leaves is smooth
RIDGE = 1e-3
OUTLIER = 5.0  # times the local light: what a sample may be off and still count in full
CHANCE = 0.15  # of the error of one window, what is left of it in the mean of those that overlap
DARK = 0.05  # exposed light below which noise grows no smaller
# Shares of the local light that a pixel may lose and gain. Most windows of few samples lack the
# rare bright ones, and would make what they hold too dark.
LOSS, GAIN = 0.05, 0.2
BAND = 128  # rows that are refined at a time


class Coding(Protocol):
    """Linear light to what the net knows, and back."""

    def encode(self, linear: np.ndarray) -> np.ndarray: ...
    def decode(self, values: np.ndarray) -> np.ndarray: ...


def restore(
    light: np.ndarray,
    model: Model,
    options: Options,
    *,
    exposure: float = 1.0,
    tonemap: str = "hdr",
    auxiliary: np.ndarray | None = None,
    guides: np.ndarray | None = None,
    clean_guides: bool = False,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Linear light (H, W, C), float32 and finite -> the same, denoised at full strength.

    Args:
        exposure: the whole sequence's; see encoding.Hdr.
        tonemap: hdr, the whole range; srgb: clipped to 0..1 and shown, the protocol of papers.
        auxiliary: (H, W, G) for a net that takes guides, albedo first (denoise_tiles.ALBEDO); or
            None.
        guides: (H, W, D), each about 0..1 and finite, to refine with; or None.
        clean_guides: whether guides were denoised before; see pipeline.external.

    Raises:
        OutOfMemoryError: the smallest tile does not fit.
    """
    if model.card.kind != "net":
        light = light.clip(0, 1) if tonemap == "srgb" else light
        if model.card.kind == "external":
            found = external.restore(light, model, auxiliary, clean=clean_guides)
            return keep_light(light, found)
        same = {"exposure": exposure, "auxiliary": auxiliary, "guides": guides}
        results = [
            restore(light, part, options, clean_guides=clean_guides, **same)  # type: ignore[arg-type]
            for part in model.parts
        ]
        return external.mixed([*results, light], model, Hdr(exposure), auxiliary)
    if tonemap == "srgb":
        shown = Srgb().decode(Srgb().encode(light))
        return denoise_light(shown, Srgb(), model, options, auxiliary, progress)
    trained = model.card.domain == "hdr"
    auxiliary = auxiliary if trained else None
    first = lambda share: progress(0.9 * share)  # noqa: E731
    answer = denoise_light(light, Hdr(exposure), model, options, auxiliary, first)
    rest = lambda share: progress(0.9 + 0.1 * share)  # noqa: E731
    refined = refine(light, answer, exposure, guides, rest)
    return keep_light(light, keep_whole_light(light, refined) if trained else refined)


def denoise_light(
    light: np.ndarray,
    coding: Coding,
    model: Model,
    options: Options,
    auxiliary: np.ndarray | None,
    progress: Progress = no_progress,
) -> np.ndarray:
    """The net alone, behind a coding: (H, W, C) linear light -> the same."""
    noise = judge_sample(sample_for_estimation(light, coding.encode), model, options.sigma)
    takes = model.abilities.guides and auxiliary is not None
    guides = Guides(auxiliary) if takes and auxiliary is not None else None

    def clean(tiles: Tensor, origins: Origins) -> Tensor:
        return denoise_tiles(tiles, origins, noise, model, options, guides=guides)

    return tiled(clean, model, options, light, coding.encode, coding.decode, progress)


def refine(
    noisy: np.ndarray,
    answer: np.ndarray,
    exposure: float = 1.0,
    guides: np.ndarray | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """A net's answer, and what guides explain of its difference to the noisy light.

    It is linear in the noisy light, so it also gives back what the curve took off its mean: a net
    behind a curve returns the mean of curved values, which is too dark. What is found counts as far
    as it is more than the noise would make it: of few samples that is little. A pixel loses LOSS
    of the light around it at most, and gains GAIN.

    Args:
        noisy, answer: (H, W, C) float32 linear light, finite.
        exposure: so that the constants mean the same in any light.
        guides: (H, W, D) float32, each about 0..1 and finite, or None.

    Returns:
        (H, W, C) float32.
    """
    height, width, _ = noisy.shape
    if guides is None:
        guides = np.zeros((height, width, 0), np.float32)
    result = np.empty_like(noisy)
    for start in range(0, height, BAND):
        stop = min(start + BAND, height)
        top, bottom = max(0, start - 3 * RADIUS), min(height, stop + 3 * RADIUS)
        light, pilot, features = (windows.planes(p[top:bottom]) for p in (noisy, answer, guides))
        band = _corrected(light * exposure, pilot * exposure, features) / exposure
        rows = band.float().numpy().transpose(1, 2, 0)
        result[start:stop] = rows[start - top : stop - top]
        progress(stop / height)
    return result


def _corrected(noisy: Tensor, pilot: Tensor, guides: Tensor) -> Tensor:
    """The pilot and what the guides explain of its difference to the noisy light."""
    light = pilot.abs().mean(0, keepdim=True) + DARK
    limit = OUTLIER * light
    left, weights = torch.clamp(noisy - pilot, -limit, limit), light**-2
    change = windows.regress(left, guides, weights, RADIUS, RIDGE)
    change = change * _certain(change, left - change, weights, len(guides) + 1)
    return pilot + torch.maximum(torch.minimum(change, GAIN * light), -LOSS * light)


def _certain(change: Tensor, rest: Tensor, weights: Tensor, terms: int) -> Tensor:
    """(1, H, W): how much of a change is more than noise (positive-part James-Stein).

    rest: what it leaves, which says how strong the noise is. terms: of the regression; each finds
    a share of the noise of its window.
    """
    power, noise = (
        windows.mean(part.square().mean(0, keepdim=True) * weights, RADIUS)
        for part in (change, rest)
    )
    chance = CHANCE * noise * terms / (2 * RADIUS + 1) ** 2
    return (1 - chance / power.clamp(min=1e-12)).clamp(0, 1)


CELL, AROUND = 8, 4  # pixels a side; cells to each side of one that are averaged, twice


def keep_light(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The clean light, with neighbourhoods as bright as in the noisy one.

    A net that is trained for the least absolute error aims at the median, which of few samples of a
    lamp lies below the mean; but the mean of a path tracer's samples is right. So the light of a
    neighbourhood is known far better than that of a pixel. What is missing counts as far as it is
    more than chance would make it (positive-part James-Stein; Baranchik, Stanford technical report
    51, 1964): a single firefly adds nothing. Pixels share it in proportion to the square of their
    light: an error that grows with the light is corrected so by least squares.

    Args:
        noisy, clean: (H, W, C) float32, linear light.
    """
    light, missing = windows.planes(clean), windows.planes(noisy) - windows.planes(clean)
    power, mean = _around(light**2), _around(missing)
    chance = _around(missing**2).sum(0, keepdim=True) / _samples(mean)
    found = (mean**2).sum(0, keepdim=True)
    share = torch.where(found > chance, 1 - chance / found, 0.0)
    rate = torch.where(power > 0, share * mean / power, 0.0)
    height, width = clean.shape[:2]
    smooth = F.interpolate(rate[None], scale_factor=CELL, mode="bilinear", align_corners=False)
    kept = light * (1 + smooth[0, :, :height, :width] * light).clamp(min=0)
    return kept.permute(1, 2, 0).float().numpy()


def keep_whole_light(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The clean light (H, W, C), in each colour as much of it as in the noisy one.

    As `keep_light`, of the picture as a whole: so many pixels tell what no neighbourhood does. All
    share what is missing in proportion to the square of their light.
    """
    light = windows.planes(clean)
    missing = windows.planes(noisy) - light
    mean, power = missing.mean((1, 2)), light.square().mean((1, 2))
    excess = mean.square().sum()
    chance = missing.square().mean() * len(missing) / missing[0].numel()
    share = (1 - chance / excess).clamp(min=0) if excess > 0 else excess
    rate = torch.where(power > 0, share * mean / power, 0.0)
    kept = light * (1 + rate[:, None, None] * light).clamp(min=0)
    return kept.permute(1, 2, 0).float().numpy()


def _around(planes: Tensor) -> Tensor:
    """(C, H, W) -> (C, h, w): the mean around each cell."""
    cells = F.avg_pool2d(planes[None], CELL, ceil_mode=True, count_include_pad=False)[0]
    return windows.mean(windows.mean(cells, AROUND), AROUND)


def _samples(means: Tensor) -> Tensor:
    """(C, h, w) -> (h, w): how many pixels count in each mean, at the least.

    One over the largest weight of one, so that what a single pixel adds is always put to chance.
    """
    reach = []
    for side in means.shape[1:]:
        place = torch.arange(side)
        cells = (place + AROUND).clamp(max=side - 1) - (place - AROUND).clamp(min=0) + 1
        least = -F.max_pool1d(-cells[None].float(), 2 * AROUND + 1, 1, AROUND)[0]
        reach.append(least)
    return CELL**2 * reach[0][:, None] * reach[1]
