"""The part of a picture that shows anything: not what is transparent, NaN, or padding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SIDES = 64, 32  # pixels a side of the squares that are tried, one after the other
ENOUGH = 0.95  # share of a square that must show something, where few show all


def known_part(planes: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> np.ndarray | None:
    """Squares of which all or nearly all shows something, put side by side: (C, h, w).

    Noise is measured there as in the whole; many filled or mirrored samples would have other noise.

    Args:
        planes: (C, H, W) each. known: (H, W) bool for each, whether its samples show anything.

    Returns:
        None where there is no such square.
    """
    for side in SIDES:
        places = [_squares(there, side, 1.0) for there in known]
        most = [_squares(there, side, ENOUGH) for there in known]
        if 2 * sum(map(len, places)) < sum(map(len, most)):
            places = most
        squares = [
            plane[:, top : top + side, left : left + side]
            for plane, corners in zip(planes, places, strict=True)
            for top, left in corners
        ]
        if squares:
            rows = math.isqrt(len(squares))
            columns = len(squares) // rows
            lines = [squares[i * columns : (i + 1) * columns] for i in range(rows)]
            return np.concatenate([np.concatenate(line, 2) for line in lines], 1)
    return None


def _squares(known: np.ndarray, side: int, enough: float) -> np.ndarray:
    """(n, 2): top and left of each square of a grid of which a share is known that is enough."""
    height, width = (length // side for length in known.shape)
    grid = known[: height * side, : width * side].reshape(height, side, width, side)
    return side * np.argwhere(grid.mean((1, 3)) >= enough)
