"""Whole numbers so few that rounding to the nearest would lose light: a pattern decides instead."""

import numpy as np

FEW, SOME = 16, 4096  # steps from dark to bright, of bytes and of larger numbers
PLASTIC = 1.324717957244746  # the real root of x^3 = x + 1


def few_steps(dtype: np.dtype, steps: float) -> bool:
    """Whether a picture of a dtype, which spans so many steps, loses light to plain rounding.

    Where it is smooth, all of it lies on the same side of a whole number.
    """
    return dtype.kind in "iu" and steps < (FEW if dtype.itemsize == 1 else SOME)


def rounded(x: np.ndarray, row: int) -> np.ndarray:
    """Rows of a picture (h, w) or (h, w, C), from `row` on, rounded to whole numbers, float.

    Up or down by thresholds from 0 to 1 that are spread as evenly as can be around every place, so
    that every few pixels keep their mean: fractional parts of multiples of powers of the plastic
    number (Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018).
    """
    down = (np.arange(x.shape[0]) + row) / PLASTIC
    across = np.arange(x.shape[1]) / PLASTIC**2
    thresholds = (down[:, None] + across) % 1.0
    return np.asarray(np.floor(x + thresholds.reshape(x.shape[:2] + (1,) * (x.ndim - 2))))
