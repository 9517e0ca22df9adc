"""A picture taken apart into smaller ones, of every s-th pixel each.

A net that expects white noise takes smooth noise for structure. Taken that far apart, samples have
independent noise (pixel-shuffle down-sampling, Zhou et al., AAAI 2020, section 3.2). Channels are
kept together.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.registry.model import Origins


def pixel_shuffle_downsampled(x: Tensor, origins: Origins, s: int) -> tuple[Tensor, Origins]:
    """(B, C, H, W), H and W multiples of s -> (B s s, C, H / s, W / s), each with its origin."""
    if s == 1:
        return x, origins
    count, channels, height, width = x.shape
    parts = F.pixel_unshuffle(x, s).reshape(count, channels, s * s, height // s, width // s)
    return parts.transpose(1, 2).flatten(0, 1), [each for each in origins for _ in range(s * s)]


def pixel_shuffle_upsampled(parts: Tensor, s: int) -> Tensor:
    """The way back: (B s s, C, h, w) -> (B, C, h s, w s)."""
    if s == 1:
        return parts
    channels, height, width = parts.shape[1:]
    whole = parts.reshape(-1, s * s, channels, height, width).transpose(1, 2)
    return F.pixel_shuffle(whole.reshape(-1, channels * s * s, height, width), s)


def without_seams(x: Tensor, period: int) -> Tensor:
    """x without what repeats every `period` samples: the seams between the small pictures.

    Structure as fine as that was under the smooth noise, and is not in them either.
    """
    if period == 1:
        return x
    kernel = torch.ones(period)
    if period % 2 == 0:  # kept in the middle
        kernel = F.conv1d(kernel[None, None], torch.ones(1, 1, 2), padding=1)[0, 0]
    kernel = (kernel / kernel.sum()).to(x)
    half = len(kernel) // 2
    grown = F.pad(x, (half,) * 4, mode="replicate")
    flat = grown.reshape(-1, 1, *grown.shape[-2:])
    flat = F.conv2d(F.conv2d(flat, kernel[None, None, :, None]), kernel[None, None, None, :])
    return flat.reshape(x.shape)
