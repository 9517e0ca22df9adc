"""How much of what was denoised is taken: all, less of its brightness, less of its colour, or none.

Each step is a function of the noisy and the denoised picture alone. So they are the same for tiles
of any size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from mdn.pipeline.options import Options

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, section 2.5.1: weights of R, G and B as shown


def blend(noisy: Tensor, clean: Tensor, options: Options, kept: Tensor | None = None) -> Tensor:
    """The noisy tiles (B, C, H, W) mixed with the clean ones, whose deviation may follow.

    kept: (B, 1, H, W), 0..1: 1 where the noisy picture stays as it is.
    """
    channels = noisy.shape[1]
    share: Tensor | float = options.strength
    if kept is not None:
        share = share * (1 - kept)
    clean, deviation = clean[:, :channels], clean[:, channels:]
    if not options.luma == options.chroma == 1:
        change = luma_chroma(clean - noisy, options.luma, options.chroma)
        clean, deviation = noisy + change, options.luma * deviation
    return torch.cat([torch.lerp(noisy, clean, share), share * deviation], 1)


def luma_chroma(change: Tensor, luma: float, chroma: float) -> Tensor:
    """Shares of what a denoiser changed: of the brightness, and of the colour apart from it.

    Args:
        change: (..., C, H, W); planes other than three have no colour, and follow `luma`.
        luma, chroma: 0 to 1.
    """
    if change.shape[-3] != len(LUMA):
        return luma * change
    brightness = (change * change.new_tensor(LUMA)[:, None, None]).sum(-3, keepdim=True)
    return chroma * change + (luma - chroma) * brightness


def shares(change: np.ndarray, options: Options) -> np.ndarray:
    """As `luma_chroma`, of a change (H, W, C) and with the shares that the options ask for."""
    if options.luma == options.chroma == 1:
        return change
    planes = torch.from_numpy(np.ascontiguousarray(change.transpose(2, 0, 1)))
    return luma_chroma(planes, options.luma, options.chroma).numpy().transpose(1, 2, 0)


RADIUS = 2  # pixels: what is coarser than that is blotches, not grain


def restore_grain(noisy: Tensor, clean: Tensor, share: float) -> Tensor:
    """(B, C, H, W): the clean one with that share, 0 to 1, of the fine grain given back."""
    return clean + share * fine_grain(noisy, clean) if share else clean


def fine_grain(noisy: Tensor, clean: Tensor) -> Tensor:
    """(B, 1, H, W): the fine luminance in what was taken from (B, C, H, W).

    Film and good sensors show grain of one pixel's size and no colour; it hides the smoothness of a
    denoised picture and holds some of the texture that was taken for noise.
    """
    taken = (noisy - clean).mean(1, keepdim=True)
    side = 2 * RADIUS + 1
    edge = F.pad(taken, (RADIUS,) * 4, mode="replicate")
    return taken - F.avg_pool2d(edge, side, 1)
