"""Looks at a picture again, after both nets have denoised parts of it: see nets.gate."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.nets.gate import taken_out
from mdn.nets.unet import UNet
from mdn.pipeline.reading import Chooser
from mdn.pipeline.specialist import reader, with_net_of
from mdn.registry.model import Model

PARTS, SIDE = 4, 128  # parts that are denoised, and pixels a side where there are several


def chooser(model: Model) -> Chooser | None:
    """By the second gate of a model; None for a model without one.

    It computes in float32, so that all processors choose alike.

    Raises ModelError: the weights of that one are missing or damaged.
    """
    net = reader(model)
    if not net.config.second_gate:
        return None
    return functools.partial(_second_choice, model, net)


def _second_choice(
    model: Model,
    net: UNet,
    windows: list[Tensor],
    seen: Tensor,
    descriptor: Tensor,
) -> Tensor:
    """(1, 3): logits. Raises ModelError: the weights of one of the nets are missing or damaged."""
    nets = [with_net_of(model, name).net for name in (model.card.coarse, model.card.white)]
    found = []
    for part in _parts(windows):
        results = [_denoised(part, each, descriptor, model.multiple) for each in nets]
        found.append(taken_out(net.judge, part, results))
    return net.second_gate(seen, descriptor, torch.cat(found, 2))


def _parts(windows: list[Tensor]) -> list[Tensor]:
    """A few of the windows, spread over all, and the middle of each; a single one whole."""
    if len(windows) == 1:
        return windows
    places = np.linspace(0, len(windows) - 1, min(PARTS, len(windows))).round().astype(int)
    return [_middle(windows[place]) for place in places]


def _middle(window: Tensor) -> Tensor:
    for axis in (2, 3):
        size = min(SIDE, window.shape[axis])
        window = window.narrow(axis, (window.shape[axis] - size) // 2, size)
    return window


def _denoised(part: Tensor, net: torch.nn.Module, descriptor: Tensor, multiple: int) -> Tensor:
    height, width = part.shape[2:]
    padded = F.pad(part, (0, -width % multiple, 0, -height % multiple), mode="replicate")
    return net(padded, noise=descriptor)[..., :height, :width]
