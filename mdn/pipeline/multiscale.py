"""Noise that neighbours share, one scale after the other.

A net that expects white noise takes smooth noise for picture. But seen from afar it is white: means
of 4 x 4 pixels hardly share any of it. So the picture is denoised at a quarter of its resolution
first, then at half with its coarse part replaced by that result, then at its own: at each scale
what is left is only the noise of that scale, which is nearly white there (after the multi-scale
scheme of Lebrun, Colom and Morel, "The Noise Clinic", IPOL 2015).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.engine.run import Encode
from mdn.noise.analysis.lines import Banding
from mdn.pipeline import destripe
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import denoise_tiles, tiled
from mdn.pipeline.options import Options
from mdn.registry.model import Model, Origins

ROWS = 256  # that are encoded at a time; even


def denoise_multiscale(
    picture: np.ndarray, noise: NoiseConditioning, model: Model, options: Options
) -> np.ndarray:
    """An encoded picture (H, W, C), float32 -> the same, denoised at full strength."""
    residual = coarse_residual(picture, as_it_is, None, noise, model, options)

    def clean(tiles: Tensor, origins: Origins) -> Tensor:
        x = residual.added_to(tiles, origins) if residual else tiles
        return denoise_tiles(x, origins, noise.finest(), model, options)

    return tiled(clean, model, options, picture, as_it_is, as_it_is)


def coarse_residual(
    page: np.ndarray,
    encode: Encode,
    bands: Banding | None,
    noise: NoiseConditioning,
    model: Model,
    options: Options,
) -> CoarseResidual | None:
    """What denoising changes at half the resolution and below; None for white noise.

    Args:
        page: (H, W, C) as stored.
        bands: of the page, to be left out.
    """
    if not noise.scales:
        return None
    # Grain is fine by definition: none is given back down here.
    options = replace(options, detail=0.0, with_std=False)
    half = downsampled(page, encode, bands)
    return CoarseResidual(denoise_multiscale(half, noise.coarser(), model, options) - half)


class CoarseResidual:
    """What a coarser scale changed, to be added to the tiles of this one.

    Args:
        change: (h, w, C) float32 at half the resolution.
    """

    def __init__(self, change: np.ndarray) -> None:
        self.change = torch.from_numpy(np.ascontiguousarray(change.transpose(2, 0, 1)))

    def added_to(self, tiles: Tensor, origins: Origins) -> Tensor:
        """(B, C, H, W) of tiles at these places, even ones; beyond the picture its edge goes on."""
        height, width = (length // 2 for length in tiles.shape[2:])
        parts = []
        for top, left in origins:
            # One more on each side, so that a tile's border is as smooth as its middle.
            rows = torch.arange(top // 2 - 1, top // 2 + height + 1)
            columns = torch.arange(left // 2 - 1, left // 2 + width + 1)
            rows = rows.clamp(0, self.change.shape[1] - 1)
            columns = columns.clamp(0, self.change.shape[2] - 1)
            parts.append(self.change[:, rows[:, None], columns])
        grown = upsample2(torch.stack(parts).to(tiles.device))[..., 2:-2, 2:-2]
        return tiles + grown.expand_as(tiles)


def downsample2(x: Tensor) -> Tensor:
    """(B, C, H, W), H and W even -> means of 2 x 2."""
    return F.avg_pool2d(x, 2)


def upsample2(x: Tensor) -> Tensor:
    """(B, C, H, W) -> twice the size, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def downsampled(page: np.ndarray, encode: Encode, bands: Banding | None = None) -> np.ndarray:
    """(H, W, C) as stored -> its encoded means of 2 x 2, float32, half the size rounded up.

    bands: of the page, to be left out.
    """
    height, width, channels = page.shape
    result = np.empty(((height + 1) // 2, (width + 1) // 2, channels), np.float32)
    for top in range(0, height, ROWS):
        part = destripe.without(page, encode, bands, slice(top, top + ROWS))
        odd = (part.shape[0] % 2, width % 2)
        part = np.pad(part, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")
        rows = part.shape[0] // 2
        means = part.reshape(rows, 2, part.shape[1] // 2, 2, channels).mean((1, 3))
        result[top // 2 : top // 2 + rows] = means
    return result


def as_it_is(values: np.ndarray) -> np.ndarray:
    """The encoding of what is encoded already."""
    return values
