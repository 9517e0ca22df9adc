"""The parts of a picture that a fit looks at.

Windows that layers are fitted to, with the crops of a step, and a crop from the middle that is
denoised in several ways, to compare them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn.engine.device import choose_precision
from mdn.noise.analysis.estimate import is_clipped
from mdn.pipeline.conditioning import FAINT, NoiseConditioning
from mdn.pipeline.denoise_tiles import (
    apply_net,
    broken_samples,
    denoise_tiles,
    from_net_channels,
    tiled,
    to_net_channels,
)
from mdn.pipeline.options import Options
from mdn.registry.model import Model, Origins

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


# --- a crop, denoised in several ways ------------------------------------------------------------

TRIED = 256  # pixels a side, at most
CELL = 16  # its sides are multiples of this
REST = 0.0075  # mean square error that a net leaves over sigma, both in the nominal range 0..1
LEAST = 1e-5  # mean square error


class Trial:
    """The middle of the window, denoised in one way or another."""

    def __init__(self, window: Tensor, model: Model, options: Options) -> None:
        self.model, self.options = model, options
        self.rows, self.columns = (
            middle(length, min(TRIED, length // CELL * CELL)) for length in window.shape[1:]
        )

    def of(self, x: Tensor) -> Tensor:
        """(C, h, w)."""
        return x[:, self.rows, self.columns]

    def denoised(self, x: Tensor, noise: NoiseConditioning) -> Tensor:
        """(C, h, w), 0..1."""
        values = self.of(x).permute(1, 2, 0).contiguous().numpy()

        def clean(tiles: Tensor, origins: Origins) -> Tensor:
            return denoise_tiles(tiles, origins, noise, self.model, self.options)

        y = tiled(clean, self.model, self.options, values, np.asarray, np.asarray)
        return torch.from_numpy(y).permute(2, 0, 1).clamp(0, 1)

    def guess(self, x: Tensor, noise: NoiseConditioning, hidden: Tensor) -> Tensor:
        """(C, h, w) where the pixels `hidden` (1, h, w) are not seen either."""
        model = self.model
        part = self.of(x)[None]
        dtype = choose_precision(self.options.precision, model.device, model.card.precisions)
        planes, origins = to_net_channels(part.to(model.device), [(0, 0)], model.card.channels)
        kind, marks = model.device.type, hidden[None].to(model.device)
        with torch.inference_mode(), torch.autocast(kind, dtype, enabled=dtype is not None):
            y = apply_net(planes, origins, noise, model, self.options, hidden=marks)
        return from_net_channels(y.float(), part.shape)[0].cpu().clamp(0, 1)


def middle(length: int, size: int) -> slice:
    """So many of the middle, from an even one on."""
    start = max(0, length - size) // 4 * 2
    return slice(start, min(length, start + size))


def remaining_error(noise: NoiseConditioning) -> float:
    """Mean square error that a net leaves of such noise, about."""
    return REST * noise.sigma + LEAST


def is_coarse(noise: NoiseConditioning) -> bool:
    """Whether neighbours share it, by what the model has read."""
    return noise.reading is not None and noise.reading.coarse
