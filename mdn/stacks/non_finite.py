"""NaN and infinite samples of float stacks: they stay what they are, and are counted to say so."""

from collections.abc import Callable

import numpy as np

Write = Callable[[int, np.ndarray], None]


class NonFinite:
    """Counts them among the rows that are written. `count`: so far, in all pages."""

    def __init__(self) -> None:
        self._pages: list[int] = []

    @property
    def count(self) -> int:
        return sum(self._pages)

    def in_words(self) -> str:
        """What to say of them."""
        return f"{self.count} samples are NaN or infinite, and stay so"

    def counting(self, write: Write, samples: list[int], first: int = 0) -> Write:
        """Writes rows of a new page, and counts what is NaN or infinite among its samples.

        samples: which of a pixel's are looked at. first: the row that is written first.
        """
        self._pages.append(0)

        def counted(start: int, block: np.ndarray) -> None:
            if start == first:  # a page may be begun again, in smaller tiles
                self._pages[-1] = 0
            if block.dtype.kind == "f":
                chosen = block[..., samples]
                self._pages[-1] += int(chosen.size - np.isfinite(chosen).sum())
            write(start, block)

        return counted
