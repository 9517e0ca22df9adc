"""Samples of floats that are no numbers: they stay what they are, and are counted to say so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Write = Callable[[int, np.ndarray], None]


class NotNumbers:
    """Counts them among the rows that are written. `count`: so far, in all pages."""

    def __init__(self) -> None:
        self._pages: list[int] = []

    @property
    def count(self) -> int:
        return sum(self._pages)

    def counting(self, write: Write, samples: list[int]) -> Write:
        """Writes rows of a new page, and counts what is NaN or infinite among its samples.

        samples: which of a pixel's are looked at.
        """
        self._pages.append(0)

        def counted(start: int, block: np.ndarray) -> None:
            if start == 0:  # a page may be begun again, in smaller tiles
                self._pages[-1] = 0
            if block.dtype.kind == "f":
                chosen = block[..., samples]
                self._pages[-1] += int(chosen.size - np.isfinite(chosen).sum())
            write(start, block)

        return counted
