"""Brightness that wanders from one scan line to the next, as in a scanning electron microscope.

Each line lies above the last one by a step that all of its pixels share, and the steps know nothing
of one another: those of `banding` come down again at once, those of a picture go on, come back, or
differ from place to place. Only what changes within a dozen lines is told from the picture's own
shading, about half of the drift's variance.
"""

import numpy as np
import torch
from torch import Tensor

from mdn.noise.analysis.banding import (
    FEWEST_ROWS,
    FEWEST_STRIPS,
    calmed,
    least_squares,
    shared,
    slopes,
)

# Chosen on training pictures, clean and noisy: all of them miss two of these bounds, mostly more.
FAINTEST = 1.2 / 255  # deviation of the steps
ALIKE = 0.4  # correlation of the steps that two halves of the strips show
EVERYWHERE = 0.3  # the steps' slope in the worst tenth of the strips; 1 where they are shared
SHARED = (0.4, 1.5)  # covariance of strips far apart over that of neighbours; 1 for drift
NEXT = (-0.2, 0.35)  # correlation of a step with the next one; 0 for drift, -0.5 for banding
AFTER = 0.3  # the largest with the second and third
PATTERN = 0.35  # the largest with any other, up to a third of the lines away
SIZES = (0.2, 0.52)  # the median size of a step over that of one in ten; 0.41 for normal numbers
MEMORY = 0.7  # of the offsets that are looked for: slower ones may be the picture


def offsets(found: Tensor, *, known: bool = False) -> Tensor | None:
    """The offsets of the rows (H,), nominal range 0..1; None where there is no drift.

    Args:
        found: (S, H - 1), the `banding.steps` of S strips spread over the picture.
        known: that there is drift, as in another picture of this instrument.
    """
    if found.shape[0] < FEWEST_STRIPS or found.shape[1] < FEWEST_ROWS - 1:
        return None
    steps = found.double().numpy()
    one, two = (calmed(steps[start::2].mean(0)) for start in (0, 1))
    variance = float((one * two).mean())  # noise of the pixels has no part in what both share
    follows = [_across(one, two, lag) for lag in (1, 2, 3)]
    if variance <= 0 or not (known or _drifts(steps, one, two, variance, follows)):
        return None
    smooth = max(0.0, follows[0])  # steps that go on are the picture's
    result = least_squares(steps, smooth, max(variance - smooth, variance / 4), MEMORY)
    return torch.from_numpy(result.astype(np.float32))


def _across(one: np.ndarray, two: np.ndarray, lag: int) -> float:
    """Covariance of the steps of one half with those of the other that come `lag` rows later."""
    return float((one[lag:] * two[:-lag]).mean() + (two[lag:] * one[:-lag]).mean()) / 2


def _drifts(
    steps: np.ndarray, one: np.ndarray, two: np.ndarray, variance: float, follows: list[float]
) -> bool:
    """Whether the steps are those of a drift, and neither banding's nor a picture's.

    one, two: mean steps of two halves of the strips. variance: what both share. follows: their
        covariance with the next step, the second and the third.
    """
    middle = np.median(steps, 0)
    usual, large = np.quantile(np.abs(middle), (0.5, 0.9))
    middle = calmed(middle)
    power = max(float((middle**2).mean()), 1e-12)
    lags = [float((middle[k:] * middle[:-k]).mean()) / power for k in range(2, len(middle) // 3)]
    return bool(
        variance > FAINTEST**2
        and variance > ALIKE * float((one**2).mean() * (two**2).mean()) ** 0.5
        and NEXT[0] < follows[0] / variance < NEXT[1]
        and max(abs(each) for each in follows[1:]) < AFTER * variance
        and SIZES[0] * large < usual < SIZES[1] * large
        and max(abs(each) for each in lags) < PATTERN
        and SHARED[0] < shared(steps) < SHARED[1]
        and float(np.quantile(slopes(steps), 0.1)) > EVERYWHERE
    )
