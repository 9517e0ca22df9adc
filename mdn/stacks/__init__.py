"""Which planes of a stack are meant, `--channels 0,2 --z 3-7`; and which samples are no numbers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mdn.errors import FileError, UsageError
from mdn.io.stack import Plane, Stack


@dataclass(frozen=True)
class PlaneSelection:
    """Some planes of a stack."""

    axes: str | None = None  # what the stack's axes are called, as TZCYX; None: as the file says
    # channels, z, t: numbers from 0 and ranges, as 0,2-4; None means all
    channels: str | None = None
    z: str | None = None
    t: str | None = None

    def __post_init__(self) -> None:
        for option, _, text in self._given():
            numbers(text, option)

    @property
    def given(self) -> str:
        """The first of its options that was given, or nothing."""
        first = ["--axes"] if self.axes is not None else [option for option, *_ in self._given()]
        return first[0] if first else ""

    def _given(self) -> list[tuple[str, str, str]]:
        every = (("--channels", "C", self.channels), ("--z", "Z", self.z), ("--t", "T", self.t))
        return [(option, letter, text) for option, letter, text in every if text is not None]

    def of(self, stack: Stack) -> list[Plane]:
        """The planes meant, in the order of the file.

        Raises FileError: the stack has no such axis, or no such place on it.
        """
        chosen: Sequence[Plane] = stack.planes
        for option, letter, text in self._given():
            known = {plane.where[letter] for plane in stack.planes if letter in plane.where}
            if not known:
                raise FileError(
                    stack.name, f"{option}: has no axis {letter} among its {stack.axes}",
                    "say what they are with --axes",
                )  # fmt: skip
            wanted = numbers(text, option)
            if wrong := sorted(wanted - known):
                problem = f"{option} {wrong[0]}: choose numbers from 0 to {max(known)}"
                raise FileError(stack.name, problem)
            chosen = [plane for plane in chosen if plane.where.get(letter) in wanted]
        return list(chosen)


def numbers(text: str, option: str) -> set[int]:
    """{0, 2, 3, 4} for "0,2-4". Raises UsageError."""
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise UsageError(f"{option} {text!r}: write numbers from 0 and ranges, as 0,2-4")
        found |= set(range(first, last + 1))
    return found


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
