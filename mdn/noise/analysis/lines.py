"""What a picture repeats along lines: offsets of rows and columns, and sine waves over all of it.

A sensor's readout leaves the former, a bad cable or mains hum the latter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Wave:
    """The sum of cosine * cos(phase) + sine * sin(phase), nominal range 0..1."""

    # along rows and along columns, cycles a pixel: the phase at (row, column) is 2 pi (frequency[0]
    # row + frequency[1] column)
    frequency: tuple[float, float]
    cosine: tuple[float, ...]  # of each channel
    sine: tuple[float, ...]

    @property
    def sigma(self) -> float:
        """Its standard deviation, nominal range 0..1, over the channels."""
        squares = [a * a + b * b for a, b in zip(self.cosine, self.sine, strict=True)]
        return math.sqrt(sum(squares) / len(squares) / 2)

    @property
    def period(self) -> float:
        """Pixels."""
        return 1 / math.hypot(*self.frequency)

    def moved(self, top: int, left: int) -> Wave:
        """The same wave, whose (0, 0) was the pixel (top, left)."""
        angle = -2 * math.pi * (self.frequency[0] * top + self.frequency[1] * left)
        c, s = math.cos(angle), math.sin(angle)
        pairs = list(zip(self.cosine, self.sine, strict=True))
        cosine = tuple(a * c + b * s for a, b in pairs)
        return Wave(self.frequency, cosine, tuple(b * c - a * s for a, b in pairs))

    def at(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(C, h, w) at these rows and columns of the picture."""
        down, across = self.frequency
        turns = down * rows.double()[:, None] + across * columns.double()
        phase = 2 * math.pi * (turns - turns.floor())
        cosine, sine = (torch.tensor(v, device=rows.device) for v in (self.cosine, self.sine))
        wave = cosine[:, None, None] * phase.cos() + sine[:, None, None] * phase.sin()
        return wave.float()


@dataclass(frozen=True)
class Banding:
    """What a picture repeats along lines, nominal range [0, 1]."""

    rows: Tensor | None = None  # offsets (C, H); None where there are none
    columns: Tensor | None = None  # (C, W), likewise
    waves: tuple[Wave, ...] = ()  # sine waves over the whole picture

    @property
    def sigma(self) -> tuple[float, float]:
        """Standard deviation of the offsets of rows and of columns, nominal range."""
        offsets = (self.rows, self.columns)
        down, across = (0.0 if lines is None else float(lines.std()) for lines in offsets)
        return down, across

    def in_words(self, scale: float = 1.0) -> str:
        """Such as: row banding of sigma 9.1; scale: of black to white that a difference of 1 is."""
        kinds = zip(("row", "column"), self.sigma, strict=True)
        words = [f"{kind} banding of sigma {255 * scale * s:.2g}" for kind, s in kinds if s]
        words += [f"stripes every {wave.period:.3g} pixels" for wave in self.waves]
        return " and ".join(words)

    def cropped(self, rows: slice, columns: slice) -> Banding:
        """That of a part of the picture, which begins at these rows and columns."""
        down = None if self.rows is None else self.rows[:, rows]
        across = None if self.columns is None else self.columns[:, columns]
        start = -rows.start, -columns.start
        return Banding(down, across, tuple(wave.moved(*start) for wave in self.waves))

    def removed(self, planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """(..., C, h, w) of the pixels at these rows and columns of the picture, less all that.

        Samples at 0 and 1 stay: they were cut off, and do not show the offset.
        """
        total = torch.zeros((), device=planes.device)
        if self.rows is not None:
            total = total + self.rows[:, rows, None].to(planes)
        if self.columns is not None:
            total = total + self.columns[:, None, columns].to(planes)
        for wave in self.waves:
            total = total + wave.at(rows, columns).to(planes)
        return torch.where((planes == 0) | (planes == 1), planes, planes - total)
