"""Crops of one picture for a fit of layers: where they lie, and how they are turned and moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

SCORED = 16  # crops that are scored while a fit goes on, at most


@dataclass(frozen=True)
class Window:
    """A part of the picture as the net will see it."""

    # (C, H, W), C as the net takes them; NaN where a sample is known to be broken
    values: Tensor
    # (a, b, c) of the noise's variance a + b x + c x^2 at brightness x
    sigma: tuple[float, float, float]
    level: float  # standard deviation of the noise, for a net that takes it
    gray: bool = False  # equal channels, whose masks must be equal too
    clipped: bool = False  # whether what lay beyond 0 and 1 was cut off
    # (1, n) what the judge of a net that judges the noise read in the picture
    descriptor: Tensor | None = None


def spread(
    windows: Sequence[Window], side: int, *, every: bool = False
) -> list[tuple[int, int, int]]:
    """Crops side by side, all or SCORED of them evenly: (window, top, left)."""
    places = [
        (number, top, left)
        for number, window in enumerate(windows)
        for top in range(0, window.values.shape[1] - side + 1, side)
        for left in range(0, window.values.shape[2] - side + 1, side)
    ]
    return places if every else places[:: -(-len(places) // SCORED)]


def grown(window: Window, side: int) -> Window:
    """A window of at least one crop, mirrored at its end where it is smaller."""
    values = window.values
    for axis in (1, 2):
        while values.shape[axis] < side:
            values = torch.cat([values, values.flip(axis)], axis)
    return replace(window, values=values)


def turned(values: Tensor, learnt: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Both, turned and flipped alike at random."""
    flip, turn = torch.rand(2, generator=generator).tolist()
    parts = [torch.rot90(part, int(turn * 4), (2, 3)) for part in (values, learnt)]
    if flip < 0.5:
        parts = [part.flip(3) for part in parts]
    return parts[0], parts[1]


def crop_side(net: nn.Module, windows: Sequence[Window], wanted: int) -> int:
    """Side of the crops: what was wanted or what the smallest window gives, mirrored if tiny."""
    multiple: int = net.multiple  # type: ignore[assignment]
    smallest = min(min(window.values.shape[1:]) for window in windows)
    return max(multiple, min(wanted, smallest) // multiple * multiple)
