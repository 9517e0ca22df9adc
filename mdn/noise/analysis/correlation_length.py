"""How far noise is correlated: after how many pixels two samples no longer know of each other."""

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 16  # pixels a side
FLAT = 0.1  # share of the blocks that show the noise best: those that vary least..
DARK = 0.02  # ..but for the very least, which may be cut off at black
FARTHEST = 4  # pixels
ALIKE = 0.12  # correlation below which samples count as independent


@dataclass(frozen=True)
class CorrelationLength:
    """Of the noise of a picture, in its flattest blocks."""

    # mean correlation of samples 1, 2 .. FARTHEST pixels apart, along rows and columns
    lags: tuple[float, ...]
    deviation: float  # standard deviation of the noise

    @property
    def pixels(self) -> int:
        """The least distance of samples that are independent, from 1 to FARTHEST."""
        for distance, alike in enumerate(self.lags, start=1):
            if alike < ALIKE:
                return distance
        return FARTHEST


def correlation_length(planes: Tensor) -> CorrelationLength:
    """Look at planes (P, H, W) of one kind of noise, at least BLOCK pixels a side."""
    found = [_blocks(plane) for plane in planes]
    blocks = torch.cat(found).double()
    blocks = blocks - blocks.mean((1, 2), keepdim=True)
    variance = blocks.square().mean((1, 2))
    order = variance.argsort()
    first = int(DARK * len(order))
    flat = blocks[order[first : first + max(1, int(FLAT * len(order)))]]
    power = flat.square().mean().clamp(min=1e-30)
    lags = [
        ((flat[:, n:] * flat[:, :-n]).mean() + (flat[:, :, n:] * flat[:, :, :-n]).mean())
        / (2 * power)
        for n in range(1, FARTHEST + 1)
    ]
    return CorrelationLength(tuple(float(lag) for lag in lags), float(power.sqrt()))


def _blocks(plane: Tensor) -> Tensor:
    tall, wide = (size // BLOCK * BLOCK for size in plane.shape)
    parts = plane[:tall, :wide].unfold(0, BLOCK, BLOCK).unfold(1, BLOCK, BLOCK)
    return parts.reshape(-1, BLOCK, BLOCK)
