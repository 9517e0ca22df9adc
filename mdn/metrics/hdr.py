"""Metrics of renders, on linear light: x and truth are (C, H, W) float64, unbounded above."""

from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

EPSILON = 0.01  # keeps black from counting without end


def relmse(x: Tensor, truth: Tensor) -> float:
    """Mean over samples of (x - t)^2 / (t^2 + .01) (Rousselle et al. 2011, section 6)."""
    return float(((x - truth).square() / (truth.square() + EPSILON)).mean())


def smape(x: Tensor, truth: Tensor) -> float:
    """Mean over samples of |x - t| / (|x| + |t| + .01) (Vogels et al. 2018, section 5.2)."""
    return float(((x - truth).abs() / (x.abs() + truth.abs() + EPSILON)).mean())


def flip(x: Tensor, truth: Tensor) -> float:
    """HDR-FLIP, the mean over pixels (Andersson et al. 2021), by the authors' own package.

    67 pixels a degree; exposures are chosen from the truth, as the paper does. Gray counts as three
    equal channels; negative light, which no eye sees, as black.
    """
    import flip_evaluator

    pages = [_visible(each) for each in (truth, x)]
    _, mean, _ = flip_evaluator.evaluate(*pages, "HDR", applyMagma=False)
    return float(mean)


def _visible(x: Tensor) -> np.ndarray:
    """(H, W, 3) float32, finite and not negative."""
    planes = torch.nan_to_num(x, nan=0.0, posinf=65504.0, neginf=0.0).clamp(min=0)
    return planes.expand(3, -1, -1).permute(1, 2, 0).float().contiguous().numpy()


def no_flip() -> str:
    """Why FLIP cannot be measured here, in one line, or nothing."""
    if find_spec("flip_evaluator") is None:
        return "flip: not measured: needs flip-evaluator; pip install mdn[flip]"
    return ""
