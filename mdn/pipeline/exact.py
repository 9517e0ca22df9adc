"""Places of a picture that are exactly flat, as drawings are: there no noise can be."""

from __future__ import annotations

import numpy as np

from mdn.pipeline.conditioning import FAINT

LAG = 8  # pixels apart: a block of JPEG, and farther than the noise of cameras is shared
WINDOW = 32  # pixels a side of a place
STEP = 8  # of so many rows one is looked at


def noise_free(page: np.ndarray, sigma: float) -> np.ndarray:
    """Where a page cannot hold the noise that is claimed.

    Under noise of deviation s two samples of one brightness differ by a normal number of deviation
    sqrt(2) s. Rounded to steps of q they are equal with probability p = 2 Phi(q / (sqrt(8) s)) - 1,
    about q / (2 sqrt(pi) s), and mostly differ by a little otherwise, less than sqrt(2) sigma. What
    the picture itself changes adds differences, but no equal pairs. So where equal pairs outnumber
    the little differences, p is above 1/2 and s below 0.52 q: less than FAINTEST, which is left
    alone anywhere (see conditioning). A codec can make places as flat as that, but not beside
    edges, where it rings: there little differences outnumber the large ones.

    Each window is counted by itself: half of a picture may be drawn, the other a photograph. Pairs
    that were cut off at black or white tell nothing. But noise would have moved half of a black
    ground inwards, so a window that is all black and white is free of it.

    Args:
        page: (H, W, C) as stored.
        sigma: of the claimed noise, nominal range 0..1.

    Returns:
        (H, W) bool.
    """
    white = float(np.iinfo(page.dtype).max) if page.dtype.kind in "ui" else 1.0
    near = 2**0.5 * max(sigma, FAINT) * white
    tops, lefts = (_starts(length) for length in page.shape[:2])
    free = np.empty((len(tops), len(lefts)), bool)
    for number, (top, end) in enumerate(zip(tops, [*tops[1:], page.shape[0]], strict=True)):
        band: np.ndarray = page[top : end + LAG].astype(
            np.int16 if page.dtype == np.uint8 else np.float64
        )
        rows, below = band[: end - top : STEP], band[LAG::STEP]
        pairs = ((rows[:, :-LAG], rows[:, LAG:]), (rows[: len(below)], below[: len(rows)]))
        across, down = (_counts(*pair, near, white, lefts) for pair in pairs)
        equal, little, large = across + down
        inside = ((rows > 0) & (rows < white)).any((0, 2))
        free[number] = (little < equal) & (little <= large)
        free[number] |= ~np.logical_or.reduceat(inside, lefts)
    heights, widths = (
        np.diff([*starts, length])
        for starts, length in zip((tops, lefts), page.shape[:2], strict=True)
    )
    return free.repeat(heights, 0).repeat(widths, 1)


def _starts(length: int) -> list[int]:
    """Of the windows along one side; the last takes what is left."""
    return [WINDOW * n for n in range(max(1, length // WINDOW))]


def _counts(
    first: np.ndarray, second: np.ndarray, near: float, white: float, lefts: list[int]
) -> np.ndarray:
    """How many pairs (h, w, C) are equal, a little apart and far apart: (3, windows)."""
    apart = np.abs(second - first)
    cut = ((first <= 0) | (first >= white)) & ((second <= 0) | (second >= white))
    kinds = (apart == 0, (apart > 0) & (apart <= near), apart > near)
    columns = np.stack([(kind & ~cut).sum((0, 2)) for kind in kinds])
    return np.add.reduceat(np.pad(columns, ((0, 0), (0, LAG))), lefts, 1)
