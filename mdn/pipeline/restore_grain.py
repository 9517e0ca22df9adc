"""Giving fine grain back: what a denoiser took, without its colour and its blotches."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

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
