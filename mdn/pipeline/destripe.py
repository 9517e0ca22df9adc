"""Row and column offsets of a whole picture: found in strips of it, taken out tile by tile."""

import numpy as np
import torch
from torch import Tensor

from mdn.engine.run import Encode, RowStream
from mdn.engine.tiles import reflected
from mdn.noise.analysis.lines import (
    FEWEST_ROWS,
    FEWEST_STRIPS,
    STRIP,
    Banding,
    is_banded,
    offsets,
    steps,
)
from mdn.pipeline.page import Page

READ = 256  # rows of a page that are read at once
MOST_STRIPS = 24  # of a large picture; more tell nothing new


def bands_of(page: Page, encode: Encode) -> Banding | None:
    """The banding of a page in memory, or read in rows; encode: as of `find_in_rows`."""
    if page.array is not None:
        return find(page.array, encode)
    return find_in_rows(page.rows, encode)


def find(page: np.ndarray, encode: Encode) -> Banding | None:
    """The banding of a page (H, W, C) as stored, in encoded values; None without any."""
    rows = _offsets(_strips(page, encode))
    columns = _offsets(_strips(page.transpose(1, 0, 2), encode))
    return None if rows is None and columns is None else Banding(rows, columns)


def find_in_rows(rows: RowStream, encode: Encode) -> Banding | None:
    """As `find`, of a page that is read in rows from the top down, once.

    encode: rows (h, w, S) as stored -> (h, w, C), NaN where they show nothing.
    """
    down, across = _places(rows.height, rows.width), _places(rows.width, rows.height)
    parts: list[list[np.ndarray]] = [[] for _ in down]
    lines: list[list[np.ndarray]] = [[] for _ in across]
    for start in range(0, rows.height, READ):
        values = encode(rows.read(start, min(rows.height, start + READ)))
        for part, place in zip(parts, down, strict=True):
            part.append(values[:, place].copy())
        for line, place in zip(lines, across, strict=True):
            here = slice(max(0, place.start - start), max(0, place.stop - start))
            line.append(values[here].copy())
    offsets_down = _offsets([_tensor(np.concatenate(part)) for part in parts])
    offsets_across = _offsets([_tensor(np.concatenate(line).transpose(1, 0, 2)) for line in lines])
    if offsets_down is None and offsets_across is None:
        return None
    return Banding(offsets_down, offsets_across)


def _offsets(strips: list[Tensor]) -> Tensor | None:
    # Most pictures have none, and the medians of each channel take as long as all the rest.
    if not strips or not is_banded(torch.stack([steps(strip, apart=False) for strip in strips])):
        return None
    return offsets(torch.stack([steps(strip) for strip in strips]))


def _strips(page: np.ndarray, encode: Encode) -> list[Tensor]:
    """Strips (C, H, w) of whole columns, evenly spread; side by side where there are few."""
    return [_tensor(encode(page[:, place])) for place in _places(*page.shape[:2])]


def _places(height: int, width: int) -> list[slice]:
    """The columns of the strips; none of a picture that is too small."""
    wide = min(STRIP, width // FEWEST_STRIPS)
    if height < FEWEST_ROWS or width < FEWEST_STRIPS * STRIP // 2:
        return []
    count = min(MOST_STRIPS, width // wide)
    return [slice(x, x + wide) for x in np.linspace(0, width - wide, count).round().astype(int)]


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


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
