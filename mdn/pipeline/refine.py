"""What guides explain of a render that a net has denoised at several scales.

1. Refinement, each: what is left between the noisy layer and the net's answer is regressed on the
   guides in small windows. It is linear in the noisy light, so it also gives back what the curve
   took off its mean: a net behind a curve returns the mean of curved values, which is too dark.
2. The scales together, from coarse to fine: of what the finer one has and the coarser one has not,
   that share is taken over which agrees with its neighbours (`windows.structure`), and that is
   strong beside the noise there, as in Wiener's filter.
3. Refinement once more, in the smallest windows.

A net that was trained on renders answers at one scale, and needs step 1 alone, as far as what is
found is more than the noise would make it: of few samples that is little.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mdn.pipeline import windows

FINE_RADIUS, COARSE_RADIUS, LAST_RADIUS = 4, 2, 2
TRAINED_RADIUS = 8  # the little that such a net leaves is smooth
RIDGE = 1e-3
OUTLIER = 3.0  # times the local light: what a sample may be off and still count in full..
TRAINED_OUTLIER = 5.0  # ..of an answer that is nearer the truth
CHANCE = 0.15  # of the error of one window, what is left of it in the mean of those that overlap
DARK = 0.05  # exposed light below which noise grows no smaller
AGREEMENT = 2 / 3  # correlation of neighbours from which a difference is all structure
LEFT = 0.6  # share of the noise's power that a net which fails may leave in its answer..
LEFT_ALONE = 0.1  # ..and without guides, where a coarse scale lacks more than noise
BAND = 128  # rows that are refined at a time
# Rows that the windows of a band look at beyond it.
HALO = max(2 * (FINE_RADIUS + LAST_RADIUS) + 12, 2 * TRAINED_RADIUS)


class Coding(Protocol):
    """Linear light to what the net knows, and back."""

    def encode(self, linear: np.ndarray) -> np.ndarray: ...
    def decode(self, values: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Curve:
    """A coding and the exposure in it, 1 where it has none."""

    coding: Coding
    exposure: float = 1.0


def refine(
    curve: Curve,
    noisy: np.ndarray,
    answers: list[np.ndarray],
    guides: np.ndarray | None = None,
    progress: Callable[[float], None] = lambda share: None,
    *,
    trained_on_renders: bool = False,
) -> np.ndarray:
    """One layer, from the net's answers at several scales.

    Args:
        curve: the whole sequence's.
        noisy: (H, W, C) float32 linear light, finite.
        answers: the net's, likewise, the finest scale first, each as large as the picture.
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
        top, bottom = max(0, start - HALO), min(height, stop + HALO)
        rows = slice(top, bottom)
        scales = [each[rows] for each in answers]
        band = _refined(curve, noisy[rows], scales, guides[rows], trained=trained_on_renders)
        result[start:stop] = band[start - top : stop - top]
        progress(stop / height)
    return result


def _refined(
    curve: Curve, noisy: np.ndarray, scales: list[np.ndarray], guides: np.ndarray, *, trained: bool
) -> np.ndarray:
    """Steps 1 to 3 on rows of a picture. Exposed light, so that the constants mean the same."""
    exposed, features = windows.planes(noisy) * curve.exposure, windows.planes(guides)
    left = LEFT if len(features) else LEFT_ALONE
    mixed: Tensor | None = None
    for index, scale in reversed(list(enumerate(scales))):
        radius = TRAINED_RADIUS if trained else COARSE_RADIUS if index else FINE_RADIUS
        pilot = windows.planes(scale) * curve.exposure
        finer = _corrected(exposed, pilot, features, radius, trained=trained)
        mixed = finer if mixed is None else _mixed(curve, exposed, finer, mixed, left)
    assert mixed is not None
    if not trained:
        mixed = _corrected(exposed, mixed, features, LAST_RADIUS)
    return (mixed / curve.exposure).float().numpy().transpose(1, 2, 0)


def _corrected(
    noisy: Tensor, pilot: Tensor, guides: Tensor, radius: int, *, trained: bool = False
) -> Tensor:
    """The pilot and what the guides explain of its difference to the noisy light."""
    light = pilot.abs().mean(0, keepdim=True) + DARK
    limit = (TRAINED_OUTLIER if trained else OUTLIER) * light
    left, weights = torch.clamp(noisy - pilot, -limit, limit), light**-2
    change = windows.regress(left, guides, weights, radius, RIDGE)
    if trained:
        change = change * _certain(change, left - change, weights, radius, len(guides) + 1)
    return pilot + change


def _certain(change: Tensor, rest: Tensor, weights: Tensor, radius: int, terms: int) -> Tensor:
    """(1, H, W): how much of a change is more than noise (positive-part James-Stein).

    rest: what it leaves, which says how strong the noise is. terms: of the regression; each finds
    a share of the noise of its window.
    """
    power, noise = (
        windows.mean(part.square().mean(0, keepdim=True) * weights, radius)
        for part in (change, rest)
    )
    chance = CHANCE * noise * terms / (2 * radius + 1) ** 2
    return (1 - chance / power.clamp(min=1e-12)).clamp(0, 1)


def _mixed(curve: Curve, noisy: Tensor, fine: Tensor, coarse: Tensor, left: float) -> Tensor:
    """The coarse one, and what the fine one has beside it that is structure."""
    seen, shown, base = (_shown(curve, each) for each in (noisy, fine, coarse))
    more = shown - base
    gray = more.mean(0, keepdim=True)
    share = (windows.structure(gray) / AGREEMENT).clamp(0, 1)
    noise = windows.noise_power((seen - base).clamp(-1, 1).mean(0, keepdim=True))
    share = share * (1 - left * noise / windows.power(gray)).clamp(0, 1)
    values = base + share * more
    linear = curve.coding.decode(values.permute(1, 2, 0).float().numpy())
    return windows.planes(linear) * curve.exposure


def _shown(curve: Curve, exposed: Tensor) -> Tensor:
    linear = (exposed / curve.exposure).permute(1, 2, 0).float().numpy()
    return windows.planes(curve.coding.encode(linear))
