"""A sine wave over the whole picture, as a bad cable or mains hum leaves it."""

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
