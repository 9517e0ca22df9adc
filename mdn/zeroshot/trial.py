"""A crop of the picture, denoised in several ways, to compare them."""

import numpy as np
import torch
from torch import Tensor

from mdn.engine.device import choose_precision
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import (
    apply_net,
    denoise_tiles,
    from_net_channels,
    tiled,
    to_net_channels,
)
from mdn.pipeline.options import Options
from mdn.registry.model import Model, Origins

SIDE = 256  # pixels, at most
CELL = 16  # its sides are multiples of it
REST = 0.0075  # mean square error that a net leaves over sigma, both in the nominal range 0..1
LEAST = 1e-5  # mean square error


class Trial:
    """The middle of the window, denoised in one way or another."""

    def __init__(self, window: Tensor, model: Model, options: Options) -> None:
        self.model, self.options = model, options
        self.rows, self.columns = (
            middle(length, min(SIDE, length // CELL * CELL)) for length in window.shape[1:]
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
