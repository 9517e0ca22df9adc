"""The parts of a picture that layers are fitted to, and the crops of a step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn.noise.analysis.estimate import is_clipped
from mdn.pipeline.conditioning import FAINT, NoiseConditioning
from mdn.pipeline.denoise_tiles import broken_samples
from mdn.registry.model import Model

SIDE, GRID = 256, 4  # GRID x GRID windows of so many pixels a side, of a large picture
SCORED = 16  # crops that are scored while a fit goes on, at most


@dataclass(frozen=True)
class Window:
    """A part of the picture as the net will see it."""

    # (C, H, W), C as the net takes them; NaN where a sample is broken
    values: Tensor
    # (a, b, c) of the noise's variance a + b x + c x^2 at brightness x
    variance: tuple[float, float, float]
    level: float  # standard deviation of the noise, for a net that takes it
    gray: bool = False  # equal channels, whose masks must be equal too
    clipped: bool = False  # whether what lay beyond 0 and 1 was cut off
    # (1, n) what the judge of a net that judges the noise read in the picture
    descriptor: Tensor | None = None


def regions_of(page: np.ndarray) -> list[np.ndarray]:
    """The page (H, W, C), or windows spread over it where it is large; views."""
    height, width = page.shape[:2]
    if height * width <= (SIDE * GRID) ** 2:
        return [page]
    tops, lefts = (
        [i * (length - SIDE) // (GRID - 1) if length > SIDE else 0 for i in range(GRID)]
        for length in (height, width)
    )
    return [
        page[y : y + SIDE, x : x + SIDE] for y in dict.fromkeys(tops) for x in dict.fromkeys(lefts)
    ]


def windows_of(region: np.ndarray, noise: NoiseConditioning, model: Model) -> list[Window]:
    """A part (h, w, C) of a picture as the net will see it; each channel where it sees gray."""
    values = torch.from_numpy(np.ascontiguousarray(region.transpose(2, 0, 1)))
    curve = noise.estimate.curve if noise.estimate else (noise.sigma**2, 0.0, 0.0)
    clipped = noise.estimate is not None and is_clipped(values)
    broken = broken_samples(values[None], noise) if model.abilities.takes_sigma else None
    if model.abilities.takes_sigma and noise.stabiliser:
        values, curve = noise.stabiliser.forward(values), (noise.sigma**2, 0.0, 0.0)
    gray = len(values) != model.card.channels
    if broken is not None:
        whole = not gray and not model.abilities.per_channel_mask
        marks = broken[0].any(0, keepdim=True) if whole else broken[0]
        values = values.masked_fill(marks, torch.nan)
    return [
        Window(
            plane.expand(model.card.channels, -1, -1).contiguous(),
            curve,
            max(noise.sigma, FAINT),
            gray,
            clipped,
            None if noise.reading is None else noise.reading.descriptor,
        )
        for plane in (values.split(1) if gray else [values])
    ]


def shuffled(window: Window, s: int) -> list[Window]:
    """The window, or the s * s smaller ones that it is taken apart into, colours kept together."""
    height, width = (length // s * s for length in window.values.shape[1:])
    if s == 1 or min(height, width) < s:
        return [window]
    parts = F.pixel_unshuffle(window.values[:, None, :height, :width], s)
    return [replace(window, values=part) for part in parts.transpose(0, 1)]


def crop_side(net: nn.Module, windows: Sequence[Window], side: int) -> int:
    """Side of the crops, up to `side`: what the smallest window gives, mirrored if tiny."""
    multiple: int = net.multiple  # type: ignore[assignment]
    smallest = min(min(window.values.shape[1:]) for window in windows)
    return max(multiple, min(side, smallest) // multiple * multiple)


def grown(window: Window, side: int) -> Window:
    """A window of at least one crop, mirrored at its end where it is smaller."""
    values = window.values
    for axis in (1, 2):
        while values.shape[axis] < side:
            values = torch.cat([values, values.flip(axis)], axis)
    return replace(window, values=values)


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


def turned(values: Tensor, learnt: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Both (B, C, s, s), turned and flipped alike at random."""
    flip, turn = torch.rand(2, generator=generator).tolist()
    parts = [torch.rot90(part, int(turn * 4), (2, 3)) for part in (values, learnt)]
    if flip < 0.5:
        parts = [part.flip(3) for part in parts]
    return parts[0], parts[1]
