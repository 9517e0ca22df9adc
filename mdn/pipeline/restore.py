"""The way of every picture: read in rows, encoded, denoised in tiles, decoded, written.

What a picture is and what its noise is was found out before (`pipeline.plan`). Here it is done, for
a photo as for a plane of a stack, in memory or from the disk.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.encoding import Counts, Display
from mdn.engine.run import NetGeometry, RowStream, Runtime, StdOutput, stream
from mdn.errors import OutOfMemoryError
from mdn.noise.analysis import impulses
from mdn.pipeline import destripe, fusion, hidden
from mdn.pipeline.blend import blend
from mdn.pipeline.denoise_tiles import Guides, Progress, denoise_tiles, no_progress
from mdn.pipeline.options import geometry
from mdn.pipeline.page import Page
from mdn.pipeline.part import Part
from mdn.registry.model import Origins

CELL = 8  # pixels a side: a result stays in the range of the cells around it, see `in_range`
COPIED = 2**22  # samples that are copied at once
CUT = 0.02  # share of a cell's samples that may be cut off or put aside
HELD = 8  # bytes of a pixel of each neighbouring plane: as encoded, and as a tensor
AROUND = 2  # cells to each side of one, that light is kept in, twice


def restore(
    page: Page,
    parts: Sequence[Part],
    progress: Progress = no_progress,
    std_output: StdOutput | None = None,
) -> None:
    """Denoise a page from where it is read to where it goes.

    Args:
        parts: of its samples; those that belong to none leave as they came.
        std_output: takes (first row, values, deviation), (h, W, C) in the unit of the samples.
            Only with options.with_std.

    Raises:
        OutOfMemoryError: the smallest tile does not fit.
    """
    active = [part for part in parts if not part.idle]
    if not active:
        _copy(page, std_output)
        progress(1.0)
        return
    stops = np.cumsum([0, *(part.channels for part in active)]).tolist()
    spans = [slice(start, stop) for start, stop in pairwise(stops)]

    rows = with_neighbours(page.rows, active)
    counts = [0 if part.neighbours is None else part.neighbours.count for part in active]

    def apart(stored: np.ndarray) -> list[np.ndarray]:
        """Samples of the page, and those of the neighbours of each part."""
        own = stored.shape[-1] - sum(counts)
        return np.split(stored, np.cumsum([own, *counts])[:-1], -1)

    def encode(stored: np.ndarray) -> np.ndarray:
        own, *others = apart(stored)
        beside = [
            part.neighbours.encode(samples)
            for part, samples in zip(active, others, strict=True)
            if part.neighbours is not None
        ]
        return np.concatenate([*(part.encode(own) for part in active), *beside], -1)

    def clean(tiles: Tensor, origins: Origins) -> Tensor:
        beside = tiles[:, stops[-1] :].split(counts, 1)
        results = [
            clean_tiles(tiles[:, span], origins, part, others)
            for span, part, others in zip(spans, active, beside, strict=True)
        ]
        means = [y[:, : part.channels] for y, part in zip(results, active, strict=True)]
        spreads = [y[:, part.channels :] for y, part in zip(results, active, strict=True)]
        return torch.cat([*means, *spreads], 1)

    def decode(values: np.ndarray, stored: np.ndarray, row: int) -> np.ndarray:
        stored = apart(stored)[0]
        result = stored.copy()
        for span, part in zip(spans, active, strict=True):
            indices = [page.samples[place] for place in part.places]
            result[..., indices] = part.decode(values[..., span], stored, row)
            if isinstance(part.coding, Display):
                part.record(stored, result)
        return result

    def in_their_unit(start: int, values: np.ndarray, deviation: np.ndarray) -> None:
        assert std_output is not None
        shape = (*values.shape[:2], len(page.samples))
        means, spreads = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for span, part in zip(spans, active, strict=True):
            spreads[..., list(part.places)] = part.deviation(
                values[..., span], deviation[..., span]
            )
        std_output(start, means, spreads)

    rows = replace(
        rows, channels=stops[-1], std_output=None if std_output is None else in_their_unit
    )
    where, how = _geometry(active), _runtime(active)
    try:
        stream(clean, where, how, rows, encode, decode, progress)
    except OutOfMemoryError as error:
        if not sum(counts):
            raise
        raise OutOfMemoryError(f"{error}, or leave neighbours out (--neighbours 0)") from error


def with_neighbours(rows: RowStream, parts: Sequence[Part]) -> RowStream:
    """Rows that are read with those of the neighbouring planes behind their own samples."""
    beside = [part.neighbours for part in parts if part.neighbours is not None]
    if not beside:
        return rows

    def read(start: int, stop: int) -> np.ndarray:
        others = [neighbours.rows(start, stop) for neighbours in beside]
        return np.concatenate([rows.read(start, stop), *others], -1)

    more = sum(neighbours.row_bytes for neighbours in beside)
    reserved = rows.reserved + rows.reserved * more // rows.row_bytes
    return replace(rows, read=read, row_bytes=rows.row_bytes + more, reserved=reserved)


def clean_tiles(
    tiles: Tensor, origins: Origins, part: Part, others: Tensor | None = None
) -> Tensor:
    """Encoded tiles of a part (B, C, H, W) -> denoised; NaN: the sample stays as it is stored.

    Where options.with_std, as many channels more with the deviation between passes.

    others: (B, K, H, W), the same of the neighbouring planes.
    """
    page, noise, options = part.page, part.noise, part.options
    height, width = tiles.shape[2:]
    gaps, kept = put_aside(tiles, part)
    stays = gaps | kept
    # Of a drawing with salt and pepper nothing else would be left to see.
    x = hidden.continued(tiles, gaps if noise.impulse_spread is not None else stays)
    noisy = destripe.remove(x, origins, part.bands, page.shape[:2])
    counted = isinstance(part.coding, Counts)
    if counted:
        noisy = impulses.fix_hot_pixels(noisy, noise.sigma)
    seen, share = noisy, None
    if others is not None and others.shape[1]:
        if part.limits is not None:
            others = others.masked_fill(part.limits.beyond(others), torch.nan)
        others = impulses.fix_hot_pixels(others, noise.sigma)
        seen, share = fusion.fused(noisy, others, noise.sigma)
        # The net need not see what only the fusion looks at.
        rows, columns = _inner(origins, tiles.shape, page.shape, part.model.multiple)
        origins = [(top + rows.start, left + columns.start) for top, left in origins]
        gaps, kept, stays = (mask[..., rows, columns] for mask in (gaps, kept, stays))
        tiles, x, noisy, seen, share = (
            values[..., rows, columns].contiguous() for values in (tiles, x, noisy, seen, share)
        )
    y = denoise_tiles(
        seen, origins, noise, part.model, options,
        separate=not page.colour, spacing=part.spacing, share=share,
    )  # fmt: skip
    mean, deviation = y[:, : part.channels], y[:, part.channels :]
    if part.keeps_light:
        mean = kept_light(mean, noisy, part, stays)
    mean = in_range(mean, torch.where(kept, tiles, noisy), gaps)
    protect = None
    if page.protect is not None:
        protect = Guides(page.protect[..., None]).beside(tiles, origins)
        stays = stays | (protect >= 1)
    # The strength of counts is mixed in the unit of the file.
    mixed = replace(options, strength=1.0) if counted else options
    y = blend(x, torch.cat([mean, deviation], 1), mixed, protect)
    mean, deviation = y[:, : part.channels], y[:, part.channels :]
    mean = mean.masked_fill(stays, torch.nan)
    deviation = deviation.masked_fill(stays, 0.0) if deviation.shape[1] else deviation
    result = torch.cat([mean, deviation], 1)
    if share is None:
        return result
    return F.pad(result, (columns.start, width - columns.stop, rows.start, height - rows.stop))


def _inner(
    origins: Origins, size: Sequence[int], shape: Sequence[int], multiple: int
) -> tuple[slice, slice]:
    """Rows and columns of tiles without what lies within the reach of the fusion of their edges.

    Those of the picture itself are no such edges.

    size: (..., H, W) of a tile; shape: (H, W, ...) of the picture. multiple: of which places are.
    """
    step = math.lcm(CELL, multiple)
    cut = fusion.REACH // step * step
    spans = []
    for axis in (0, 1):
        length = size[axis - 2]
        first = cut if all(origin[axis] > 0 for origin in origins) else 0
        ends = all(origin[axis] + length < shape[axis] for origin in origins)
        spans.append(slice(first, length - cut if ends else length))
    return spans[0], spans[1]


def put_aside(tiles: Tensor, part: Part) -> tuple[Tensor, Tensor]:
    """Which samples of tiles (B, C, H, W) stay, bool: gaps, outliers and marks; and flat areas."""
    gaps = tiles.isnan()
    salted = part.noise.impulse_spread is not None
    if part.limits is not None:
        gaps = gaps | part.limits.beyond(tiles)
        if not (part.faint or salted):  # few photons have many equals, and so have salt and pepper
            gaps = gaps | hidden.marks(tiles, part.noise.level)
    kept = torch.zeros_like(gaps)
    if part.flat:
        kept = hidden.kept_areas(tiles, part.flat, part.noise.level).expand_as(tiles)
        if salted:  # which lie on flat areas as well
            kept = kept & ~impulses.ends(tiles).any(1, keepdim=True)
    return gaps, kept


def kept_light(y: Tensor, noisy: Tensor, part: Part, aside: Tensor) -> Tensor:
    """y (B, C, H, W), encoded, whose light is that of the noisy tiles around every place.

    A net's mean is not quite right, nor is the transform of few photons; the mean of many pixels
    is. Cells with samples that were cut off, or put aside (bool, as y), tell nothing of it.
    """
    coding = part.coding
    if isinstance(coding, Counts):
        values, slope = coding.light(y.cpu().numpy())
        missing = torch.from_numpy(coding.samples(noisy.cpu().numpy()) - values)
        cut = torch.zeros_like(aside)
    else:
        missing = (noisy - y).cpu()
        cut = (noisy >= 1) if part.may_count else (noisy <= 0) | (noisy >= 1)
    more = mean_around(missing, (cut | aside).cpu())
    if not isinstance(coding, Counts):
        return y + more.to(y)
    if part.faint:
        return torch.from_numpy(coding.seen(values + more.numpy())).to(y)
    return y + (more / torch.from_numpy(slope)).to(y)


def mean_around(x: Tensor, without: Tensor) -> Tensor:
    """The mean of x (B, C, H, W) in some cells around every place.

    without: bool, as x; cells that hold more than CUT of it do not count.
    """
    weight = (F.avg_pool2d(_whole_cells(without.float()), CELL) <= CUT).to(x.dtype)
    cells = F.avg_pool2d(_whole_cells(x), CELL) * weight
    for _ in range(2):
        cells, weight = (
            F.avg_pool2d(F.pad(v, (AROUND,) * 4, mode="replicate"), 2 * AROUND + 1, 1)
            for v in (cells, weight)
        )
    mean = cells / weight.clamp(min=1e-6)
    whole = F.interpolate(mean, scale_factor=CELL, mode="bilinear", align_corners=False)
    return whole[..., : x.shape[2], : x.shape[3]]


def _whole_cells(x: Tensor) -> Tensor:
    """x with its last rows and columns repeated, to whole cells."""
    return F.pad(x, (0, -x.shape[3] % CELL, 0, -x.shape[2] % CELL), mode="replicate")


def in_range(y: Tensor, noisy: Tensor, aside: Tensor) -> Tensor:
    """No sample of y (B, C, H, W) leaves what the noisy ones around it span.

    Around it: within cells of CELL pixels a side and the eight cells beside, which lie at the same
    places of the picture for tiles of any size. What is put aside (bool, as y) does not count.
    """
    height, width = y.shape[2:]
    seen = noisy.masked_fill(aside, -torch.inf), (-noisy).masked_fill(aside, -torch.inf)
    high, low = (F.max_pool2d(F.max_pool2d(_whole_cells(v), CELL), 3, 1, 1) for v in seen)
    low = -low
    high, low = (
        v.repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)[..., :height, :width]
        for v in (high, low)
    )
    return torch.where(high >= low, torch.minimum(torch.maximum(y, low), high), y)


def reach(parts: Sequence[Part]) -> int:
    """Pixels that all but the nets look at, around a sample."""
    return max(
        hidden.REACH if part.flat or part.keeps_light else hidden.MARK_REACH for part in parts
    )


def _geometry(parts: Sequence[Part]) -> NetGeometry:
    """What all of the nets need of the tiles."""
    each = [geometry(part.model, part.options, part.spacing) for part in parts]
    multiple = math.lcm(CELL, *(one.multiple for one in each))
    halo = max(one.halo for one in each) + reach(parts)
    beside = sum(part.neighbours.count for part in parts if part.neighbours is not None)
    if beside:
        halo, multiple = halo + fusion.REACH, math.lcm(multiple, fusion.MULTIPLE)
    needed = max(one.bytes_per_pixel for one in each) + HELD * beside
    return NetGeometry(halo, multiple, needed)


def _runtime(parts: Sequence[Part]) -> Runtime:
    first = parts[0]
    kinds = {part.precision for part in parts}
    dtype = kinds.pop() if len(kinds) == 1 else None
    return Runtime(first.model.device, dtype, first.options.max_memory, first.options.tile)


def _copy(page: Page, std_output: StdOutput | None) -> None:
    """All samples as they are."""
    begin, end = page.rows.wanted or (0, page.rows.height)
    few = max(1, COPIED // max(1, page.rows.row_bytes))
    for start in range(begin, end, few):
        block = page.rows.read(start, min(end, start + few))
        if std_output is not None:
            none = np.zeros((*block.shape[:2], len(page.samples)), np.float32)
            std_output(start, none, none)
        page.rows.write(start, np.array(block))
