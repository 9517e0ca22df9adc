"""Row and column offsets of a whole picture: found in strips of it, taken out tile by tile."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mdn.engine.run import Encode
from mdn.engine.tiles import reflected
from mdn.noise.analysis.banding import (
    FEWEST_ROWS,
    FEWEST_STRIPS,
    STRIP,
    Banding,
    is_banded,
    offsets,
    steps,
)

MOST_STRIPS = 24  # of a large picture; more tell nothing new


def find(page: np.ndarray, encode: Encode) -> Banding | None:
    """The banding of a page (H, W, C) as stored, in encoded values; None without any."""
    rows = _offsets(page, encode)
    columns = _offsets(page.transpose(1, 0, 2), encode)
    return None if rows is None and columns is None else Banding(rows, columns)


def _offsets(page: np.ndarray, encode: Encode) -> Tensor | None:
    strips = _strips(page, encode)
    # Most pictures have none, and the medians of each channel take as long as all the rest.
    if not strips or not is_banded(torch.stack([steps(strip, apart=False) for strip in strips])):
        return None
    return offsets(torch.stack([steps(strip) for strip in strips]))


def _strips(page: np.ndarray, encode: Encode) -> list[Tensor]:
    """Strips (C, H, w) of whole columns, evenly spread; side by side where there are few."""
    height, width = page.shape[:2]
    wide = min(STRIP, width // FEWEST_STRIPS)
    if height < FEWEST_ROWS or width < FEWEST_STRIPS * STRIP // 2:
        return []
    count = min(MOST_STRIPS, width // wide)
    return [
        torch.from_numpy(np.ascontiguousarray(encode(page[:, x : x + wide]).transpose(2, 0, 1)))
        for x in np.linspace(0, width - wide, count).round().astype(int)
    ]


def without(
    page: np.ndarray,
    encode: Encode,
    banding: Banding | None,
    rows: slice = slice(None),
    columns: slice = slice(None),
) -> np.ndarray:
    """Encoded (h, w, C) of a part of a page (H, W, C), its banding taken out."""
    values = encode(page[rows, columns])
    if banding is None:
        return values
    planes = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
    down, across = (torch.arange(length) for length in page.shape[:2])
    return banding.removed(planes, down[rows], across[columns]).numpy().transpose(1, 2, 0)


def remove(
    tiles: Tensor, origins: list[tuple[int, int]], bands: Banding | None, size: tuple[int, int]
) -> Tensor:
    """Encoded tiles (B, C, H, W) without the banding of their picture.

    size: height and width of the picture; beyond it tiles go on by reflection.
    """
    if bands is None:
        return tiles
    found = []
    for tile, origin in zip(tiles, origins, strict=True):
        rows, columns = (
            torch.from_numpy(reflected(start, start + length, whole))
            for start, length, whole in zip(origin, tile.shape[1:], size, strict=True)
        )
        found.append(bands.removed(tile, rows, columns))
    return torch.stack(found)
