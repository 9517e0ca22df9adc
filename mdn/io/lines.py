"""Rows as they come, handed on in whole lines of blocks: strips, tiles or chunks."""

from collections.abc import Callable

import numpy as np


class Lines:
    """Holds rows of a picture, from the top down, until a line of blocks is whole.

    Args:
        height: rows of the picture.
        step: rows of a line; the last may have fewer.
        take: gets the first row of each line, and its rows (rows, width, samples).
    """

    def __init__(self, height: int, step: int, take: Callable[[int, np.ndarray], None]) -> None:
        self.height, self.step, self.take = height, step, take
        self._held: list[np.ndarray] = []
        self._top = 0  # the first row held

    def write(self, start: int, block: np.ndarray) -> None:
        """Rows from `start` on, (rows, width, samples). Any line may be the first, and again."""
        if start != self._top + sum(map(len, self._held)):
            self._held, self._top = [], start
        self._held.append(block)
        stop = start + len(block)
        full = stop if stop == self.height else stop // self.step * self.step
        if full <= self._top:
            return
        joined = self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        for top in range(self._top, full, self.step):
            self.take(top, joined[top - self._top : top - self._top + self.step])
        self._held = [joined[full - self._top :].copy()]
        self._top = full
