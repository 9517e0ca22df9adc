"""Places of a picture that are exactly flat, as drawings are: there no noise can be."""

from __future__ import annotations

import numpy as np

from mdn.pipeline.conditioning import FAINT

LAG = 8  # pixels apart: a block of JPEG, and farther than the noise of cameras is shared
WINDOW = 32  # pixels a side of a place
STEP = LAG  # of so many rows one is looked at
TOGETHER = 32  # rows of windows


def noise_free(page: np.ndarray, sigma: float) -> np.ndarray:
    """Where a page cannot hold the noise that is claimed.

    Under noise of deviation s two samples of one brightness differ by a normal number of deviation
    sqrt(2) s. Rounded to steps of q they are equal with probability p = 2 Phi(q / (sqrt(8) s)) - 1,
    about q / (2 sqrt(pi) s), and mostly differ by a little otherwise, less than sqrt(2) sigma. What
    the picture itself changes adds differences, but no equal pairs. So where equal pairs outnumber
    the little differences, p is above 1/2 and s below 0.52 q: of 8 bits about FAINTEST, which is
    left alone anywhere (see conditioning). A codec can make places as flat as that, but not beside
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
    depth = np.int16 if page.dtype == np.uint8 else np.float64
    free = np.empty((len(tops), len(lefts)), bool)
    for first in range(0, len(tops), TOGETHER):
        here = tops[first : first + TOGETHER]
        end = tops[first + TOGETHER] if first + TOGETHER < len(tops) else page.shape[0]
        band: np.ndarray = page[here[0] : end + LAG : STEP].astype(depth)
        rows = band[: -(-(end - here[0]) // STEP)]
        starts = [(top - here[0]) // STEP for top in here]
        across = _counts(rows[:, :-LAG], rows[:, LAG:], near, white, starts, lefts)
        equal, little, large = across + _counts(band[:-1], band[1:], near, white, starts, lefts)
        inside = _counted(np.logical_or, (rows > 0) & (rows < white), starts, lefts)
        free[first : first + TOGETHER] = ((little < equal) & (little <= large)) | ~inside
    heights, widths = (
        np.diff([*starts, length])
        for starts, length in zip((tops, lefts), page.shape[:2], strict=True)
    )
    return free.repeat(heights, 0).repeat(widths, 1)


def _starts(length: int) -> list[int]:
    """Of the windows along one side; the last takes what is left."""
    return [WINDOW * n for n in range(max(1, length // WINDOW))]


def _counts(
    first: np.ndarray,
    second: np.ndarray,
    near: float,
    white: float,
    tops: list[int],
    lefts: list[int],
) -> np.ndarray:
    """How many pairs (h, w, C) are equal, a little apart and far apart: (3, windows)."""
    if not first.size:
        return np.zeros((3, len(tops), len(lefts)), int)
    apart = np.abs(second - first)
    kept = ~(((first <= 0) | (first >= white)) & ((second <= 0) | (second >= white)))
    kinds = (apart == 0, (apart > 0) & (apart <= near), apart > near)
    return np.stack([_counted(np.add, kind & kept, tops, lefts) for kind in kinds])


def _counted(join: np.ufunc, marks: np.ndarray, tops: list[int], lefts: list[int]) -> np.ndarray:
    """Marks (h, w, C), bool, joined in each window; windows may reach beyond them on the right."""
    dtype = bool if join is np.logical_or else int
    rows = join.reduceat(marks.reshape(len(marks), -1), tops, 0, dtype)
    columns = join.reduce(rows.reshape(len(tops), *marks.shape[1:]), 2)
    return join.reduceat(np.pad(columns, ((0, 0), (0, LAG))), lefts, 1)
