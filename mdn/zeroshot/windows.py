"""The parts of a picture that layers are fitted to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from mdn.noise.analysis.estimate import is_clipped
from mdn.pipeline.apply_net import broken_samples
from mdn.pipeline.conditioning import FAINT, NoiseConditioning
from mdn.registry.model import Model
from mdn.zeroshot.crops import Window

SIDE, GRID = 256, 4  # GRID x GRID windows, of a large picture


def regions_of(page: np.ndarray) -> list[np.ndarray]:
    """The page (H, W, C), or windows spread over it where it is large; views."""
    height, width = page.shape[:2]
    if height * width <= (SIDE * GRID) ** 2:
        return [page]
    tops, lefts = (
        [i * (length - SIDE) // (GRID - 1) if length > SIDE else 0 for i in range(GRID)]
        for length in (height, width)
    )
    return [
        page[y : y + SIDE, x : x + SIDE] for y in dict.fromkeys(tops) for x in dict.fromkeys(lefts)
    ]


def windows_of(region: np.ndarray, noise: NoiseConditioning, model: Model) -> list[Window]:
    """A part (h, w, C) of a picture as the net will see it; each channel where it sees gray."""
    values = torch.from_numpy(np.ascontiguousarray(region.transpose(2, 0, 1)))
    curve = noise.estimate.curve if noise.estimate else (noise.sigma**2, 0.0, 0.0)
    clipped = noise.estimate is not None and is_clipped(values)
    broken = broken_samples(values[None], noise) if model.abilities.takes_sigma else None
    if model.abilities.takes_sigma and noise.stabiliser:
        values, curve = noise.stabiliser.forward(values), (noise.sigma**2, 0.0, 0.0)
    gray = len(values) != model.card.channels
    if broken is not None:
        whole = not gray and not model.abilities.per_channel_mask
        marks = broken[0].any(0, keepdim=True) if whole else broken[0]
        values = values.masked_fill(marks, torch.nan)
    return [
        Window(
            plane.expand(model.card.channels, -1, -1).contiguous(),
            curve,
            max(noise.sigma, FAINT),
            gray,
            clipped,
            None if noise.reading is None else noise.reading.descriptor,
        )
        for plane in (values.split(1) if gray else [values])
    ]


def shuffled(window: Window, s: int) -> list[Window]:
    """The window, or the s * s smaller ones that it is taken apart into, colours kept together."""
    height, width = (length // s * s for length in window.values.shape[1:])
    if s == 1 or min(height, width) < s:
        return [window]
    parts = F.pixel_unshuffle(window.values[:, None, :height, :width], s)
    return [replace(window, values=part) for part in parts.transpose(0, 1)]
