"""The part of a picture that is looked at to estimate its noise."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.engine.run import Encode
from mdn.nets.judge import SMALLEST
from mdn.noise.analysis.lines import Banding

SAMPLE = 1024  # pixels a side: more does not change the estimate
WINDOW = 256  # it is put together from windows of so many, spread over a larger picture;
# what lies in one window is looked at together


def sample_for_estimation(
    page: np.ndarray,
    encode: Encode,
    bands: Banding | None = None,
    opaque: np.ndarray | None = None,
) -> Tensor:
    """(C, h, w), encoded, of a page (H, W, C): all of it, or windows spread over it.

    Args:
        bands: of the page, to be left out.
        opaque: (H, W) bool, where it can be seen; what is transparent is left out.
    """
    height, width = page.shape[:2]
    rows, columns = in_windows(height, width)
    if len(rows) < height or len(columns) < width:
        page = page[rows[:, None], columns]
    sample = torch.from_numpy(np.ascontiguousarray(encode(page).transpose(2, 0, 1)))
    if bands is not None:
        sample = bands.removed(sample, torch.from_numpy(rows), torch.from_numpy(columns))
    if opaque is None or opaque.all():
        return sample
    part = known_part([sample.numpy()], [opaque[rows[:, None], columns]])
    return sample if part is None else torch.from_numpy(part)


def mirrored(sample: Tensor, side: int) -> Tensor:
    """(C, H, W), mirrored until it has so many pixels a side."""
    for axis in (1, 2):
        while sample.shape[axis] < side:
            sample = torch.cat([sample, sample.flip(axis)], axis)
    return sample


def in_windows(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns that are looked at: all, or those of windows spread over a large one."""
    if height * width <= SAMPLE * SAMPLE:
        return np.arange(height), np.arange(width)
    return _windowed(height), _windowed(width)


def _windowed(length: int) -> np.ndarray:
    """The rows, or columns, of at most SAMPLE / WINDOW windows, evenly spread."""
    size = min(WINDOW, length)
    count = min(SAMPLE // WINDOW, max(1, length // WINDOW))
    starts = [round(i * (length - WINDOW) / (count - 1)) if count > 1 else 0 for i in range(count)]
    return np.concatenate([np.arange(start, start + size) for start in starts])


def windows_of(sample: Tensor, channels: int) -> list[Tensor]:
    """(C, H, W) in parts (1, channels, h, w); what are no colours is shown plane by plane."""
    planes = [sample] if len(sample) == channels else list(sample[:, None])
    return [
        window.expand(channels, -1, -1)[None]
        for plane in planes
        for window in _windows(_large_enough(plane))
    ]


def _windows(plane: Tensor) -> list[Tensor]:
    """(C, H, W) in parts of at most WINDOW pixels a side, none smaller than the judge takes."""
    height, width = plane.shape[1:]
    return [
        plane[:, top : top + WINDOW, left : left + WINDOW]
        for top in range(0, max(1, height - SMALLEST + 1), WINDOW)
        for left in range(0, max(1, width - SMALLEST + 1), WINDOW)
    ]


def _large_enough(plane: Tensor) -> Tensor:
    """Mirrored until the judge takes it, and to an even size."""
    plane = mirrored(plane, SMALLEST)
    down, right = (side % 2 for side in plane.shape[1:])
    return F.pad(plane[None], (0, right, 0, down), mode="replicate")[0]


SIDES = 64, 32  # pixels a side of the squares that are tried, one after the other
ENOUGH = 0.95  # share of a square that must show something, where few show all


def known_part(planes: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> np.ndarray | None:
    """Squares of which all or nearly all shows something, put side by side: (C, h, w).

    Noise is measured there as in the whole; many filled or mirrored samples would have other noise.

    Args:
        planes: (C, H, W) each. known: (H, W) bool for each, whether its samples show anything.

    Returns:
        None where there is no such square.
    """
    for side in SIDES:
        places = [_squares(there, side, 1.0) for there in known]
        most = [_squares(there, side, ENOUGH) for there in known]
        if 2 * sum(map(len, places)) < sum(map(len, most)):
            places = most
        squares = [
            plane[:, top : top + side, left : left + side]
            for plane, corners in zip(planes, places, strict=True)
            for top, left in corners
        ]
        if squares:
            rows = math.isqrt(len(squares))
            columns = len(squares) // rows
            lines = [squares[i * columns : (i + 1) * columns] for i in range(rows)]
            return np.concatenate([np.concatenate(line, 2) for line in lines], 1)
    return None


def _squares(known: np.ndarray, side: int, enough: float) -> np.ndarray:
    """(n, 2): top and left of each square of a grid of which a share is known that is enough."""
    height, width = (length // side for length in known.shape)
    grid = known[: height * side, : width * side].reshape(height, side, width, side)
    return side * np.argwhere(grid.mean((1, 3)) >= enough)
