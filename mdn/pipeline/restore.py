"""The way of every picture: read in rows, encoded, denoised in tiles, decoded, written.

What a picture is and what its noise is was found out before (`pipeline.plan`). Here it is done, for
a photo as for a plane of a stack, in memory or from the disk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.encoding import Counts
from mdn.engine.run import NetGeometry, Runtime, StdOutput, stream
from mdn.noise.analysis import impulses
from mdn.pipeline import destripe, hidden
from mdn.pipeline.blend import blend
from mdn.pipeline.denoise_tiles import Progress, denoise_tiles, no_progress
from mdn.pipeline.guides import Guides
from mdn.pipeline.options import geometry
from mdn.pipeline.page import Page
from mdn.pipeline.part import Part
from mdn.registry.model import Origins

CELL = 8  # pixels a side: a result stays in the range of the cells around it, see `in_range`
COPIED = 2**22  # samples that are copied at once
AROUND = 2  # cells to each side of one, that light is kept in, twice
SLACK = 1.0  # sigmas by which a result may leave that range


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

    def encode(stored: np.ndarray) -> np.ndarray:
        return np.concatenate([part.encode(stored) for part in active], -1)

    def clean(tiles: Tensor, origins: Origins) -> Tensor:
        results = [
            clean_tiles(tiles[:, span], origins, part)
            for span, part in zip(spans, active, strict=True)
        ]
        means = [y[:, : part.channels] for y, part in zip(results, active, strict=True)]
        spreads = [y[:, part.channels :] for y, part in zip(results, active, strict=True)]
        return torch.cat([*means, *spreads], 1)

    def decode(values: np.ndarray, stored: np.ndarray, row: int) -> np.ndarray:
        result = stored.copy()
        for span, part in zip(spans, active, strict=True):
            indices = [page.samples[place] for place in part.places]
            result[..., indices] = part.decode(values[..., span], stored, row)
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
        page.rows, channels=stops[-1], std_output=None if std_output is None else in_their_unit
    )
    where, how = _geometry(active), _runtime(active)
    stream(clean, where, how, rows, encode, decode, progress)


def clean_tiles(tiles: Tensor, origins: Origins, part: Part) -> Tensor:
    """Encoded tiles of a part (B, C, H, W) -> denoised; NaN: the sample stays as it is stored.

    Where options.with_std, as many channels more with the deviation between passes.
    """
    page, noise, options = part.page, part.noise, part.options
    gaps = tiles.isnan()
    stays = gaps
    if part.limits is not None:
        stays = stays | part.limits.beyond(tiles)
    x = hidden.filled(tiles, stays)
    if part.flat:
        kept = hidden.kept_areas(tiles, part.flat, noise.level)
        if noise.impulse_spread is not None:  # salt and pepper lie on flat areas as well
            kept = kept & ~impulses.ends(x).any(1, keepdim=True)
        stays = stays | kept
        x = hidden.continued(tiles, stays)
    protect = None
    if page.protect is not None:
        protect = Guides(page.protect[..., None]).beside(tiles, origins)
        stays = stays | (protect >= 1)
    noisy = destripe.remove(x, origins, part.bands, page.shape[:2])
    if part.residual is not None:
        noisy = part.residual.added_to(noisy, origins)
    counted = isinstance(part.coding, Counts)
    if counted:
        noisy = impulses.fix_hot_pixels(noisy, noise.sigma)
    separate = not page.colour
    y = denoise_tiles(
        noisy, origins, noise.finest(), part.model, options,
        separate=separate, spacing=part.spacing,
    )  # fmt: skip
    y = torch.cat([in_range(y[:, : part.channels], noisy, noise.level), y[:, part.channels :]], 1)
    if part.faint and counted:
        y = torch.cat([_kept_light(y[:, : part.channels], noisy, part), y[:, part.channels :]], 1)
    # The strength of counts is mixed in the unit of the file.
    y = blend(x, y, replace(options, strength=1.0) if counted else options, protect)
    mean, deviation = y[:, : part.channels], y[:, part.channels :]
    part.changes.append(float((mean - x).square().mean()))
    mean = mean.masked_fill(stays, torch.nan)
    if deviation.shape[1]:
        mean = torch.cat([mean, deviation.masked_fill(stays, 0.0)], 1)
    return mean


def _kept_light(y: Tensor, noisy: Tensor, part: Part) -> Tensor:
    """y (B, C, H, W), encoded, whose light is that of the noisy tiles around every place.

    Of few photons the transform is not what it is meant to be, nor is a net's mean; but the mean of
    many pixels is right.
    """
    assert isinstance(part.coding, Counts)
    values, stored = part.coding.light(y.cpu().numpy()), part.coding.samples(noisy.cpu().numpy())
    missing = torch.from_numpy(stored - values)
    cells = F.avg_pool2d(
        F.pad(missing, (0, -y.shape[3] % CELL, 0, -y.shape[2] % CELL), mode="replicate"), CELL
    )
    for _ in range(2):
        grown = F.pad(cells, (AROUND,) * 4, mode="replicate")
        cells = F.avg_pool2d(grown, 2 * AROUND + 1, 1)
    whole = F.interpolate(cells, scale_factor=CELL, mode="bilinear", align_corners=False)
    light = values + whole[..., : y.shape[2], : y.shape[3]].numpy()
    return torch.from_numpy(part.coding.seen(light)).to(y)


def in_range(y: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """No sample of y (B, C, H, W) leaves what the noisy ones around it span, but for a little.

    Around it: within cells of CELL pixels a side and the eight cells beside, which lie at the same
    places of the picture for tiles of any size. sigma: of the noise, encoded.
    """
    height, width = y.shape[2:]
    grown = F.pad(noisy, (0, -width % CELL, 0, -height % CELL), mode="replicate")
    high = F.max_pool2d(F.max_pool2d(grown, CELL), 3, 1, 1)
    low = -F.max_pool2d(F.max_pool2d(-grown, CELL), 3, 1, 1)
    reach = SLACK * sigma
    high, low = (
        v.repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)[..., :height, :width]
        for v in (high + reach, low - reach)
    )
    return torch.minimum(torch.maximum(y, low), high)


def _geometry(parts: Sequence[Part]) -> NetGeometry:
    """What all of the nets need of the tiles."""
    each = [geometry(part.model, part.options, part.spacing) for part in parts]
    more = max(hidden.REACH if part.flat or part.faint else 0 for part in parts)
    multiple = math.lcm(CELL, *(one.multiple for one in each))
    halo = max(one.halo for one in each) + more
    return NetGeometry(halo, multiple, max(one.bytes_per_pixel for one in each))


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
