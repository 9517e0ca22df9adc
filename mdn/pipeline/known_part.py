"""The part of a picture that shows anything: not what is transparent, NaN, or padding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SIDES = 64, 32  # pixels a side of the squares that are tried, one after the other
ENOUGH = 0.95  # share of the samples of a square that must show something


def known_part(planes: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> np.ndarray | None:
    """Squares of which nearly all shows something, put side by side: (C, h, w).

    Noise is measured there as in the whole; many filled or mirrored samples would have other noise.

    Args:
        planes: (C, H, W) each. known: (H, W) bool for each, whether its samples show anything.

    Returns:
        None where there is no such square.
    """
    for side in SIDES:
        squares = [
            plane[:, top : top + side, left : left + side]
            for plane, there in zip(planes, known, strict=True)
            for top, left in _whole_squares(there, side)
        ]
        if squares:
            rows = math.isqrt(len(squares))
            columns = len(squares) // rows
            lines = [squares[i * columns : (i + 1) * columns] for i in range(rows)]
            return np.concatenate([np.concatenate(line, 2) for line in lines], 1)
    return None


def _whole_squares(known: np.ndarray, side: int) -> np.ndarray:
    """(n, 2): top and left of each square of a grid in which nearly all is known."""
    height, width = (length // side for length in known.shape)
    grid = known[: height * side, : width * side].reshape(height, side, width, side)
    return side * np.argwhere(grid.mean((1, 3)) >= ENOUGH)
