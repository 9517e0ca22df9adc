"""The net over a batch of tiles: its passes, for any number of channels and any spacing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from mdn.engine.run import StdOutput, run
from mdn.pipeline.adapt_channels import from_net_channels, to_net_channels
from mdn.pipeline.apply_net import apply_net
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.guides import Guides
from mdn.pipeline.options import Options, geometry, runtime
from mdn.pipeline.pixel_shuffle import (
    pixel_shuffle_downsampled,
    pixel_shuffle_upsampled,
    without_seams,
)
from mdn.pipeline.restore_grain import restore_grain
from mdn.pipeline.self_ensemble import self_ensemble
from mdn.registry.model import Model, Origins

Progress = Callable[[float], None]


def no_progress(share: float) -> None:
    """For callers that show none."""


def denoise_tiles(
    x: Tensor,
    origins: Origins,
    noise: NoiseConditioning,
    model: Model,
    options: Options,
    *,
    separate: bool = False,
    spacing: int = 1,
    guides: Guides | None = None,
    share: Tensor | None = None,
) -> Tensor:
    """What the model makes of tiles; the strength is left to the caller.

    Args:
        x: (B, C, H, W) float32, encoded; H and W multiples of the model's times the spacing.
        origins: (row, column) of each tile in the picture.
        separate: the channels are no colours.
        spacing: how far apart samples must be to be shown to the net together.
        guides: for a model that takes them.
        share: (B, 1, H, W): of the noise's deviation, that is left at each pixel; for a model that
            takes sigma, and one channel.

    Returns:
        (B, C, H, W), and as many channels more with their deviation where options.with_std.
    """

    def one_pass(number: int) -> Tensor:
        small, places = pixel_shuffle_downsampled(x, origins, spacing)
        planes, places = to_net_channels(small, places, model.card.channels, separate=separate)
        guide = None if guides is None else guides.beside(planes, places)
        left = None if share is None else pixel_shuffle_downsampled(share, origins, spacing)[0]
        y = apply_net(planes, places, noise, model, options, number, guide, share=left)
        y = restore_grain(planes, y, options.detail)
        y = pixel_shuffle_upsampled(from_net_channels(y, small.shape), spacing)
        return without_seams(y, spacing)

    return self_ensemble(one_pass, options.passes, with_std=options.with_std)


def tiled(
    clean: Callable[[Tensor, Origins], Tensor],
    model: Model,
    options: Options,
    picture: np.ndarray,
    encode: Callable[[np.ndarray], np.ndarray],
    decode: Callable[[np.ndarray], np.ndarray],
    progress: Progress = no_progress,
    std_output: StdOutput | None = None,
) -> np.ndarray:
    """`clean` over the tiles of a stored picture (H, W, C), in bounded memory; see engine.run."""
    return run(
        clean, geometry(model, options), runtime(model, options),
        picture, encode, decode, progress, std_output,
    )  # fmt: skip
