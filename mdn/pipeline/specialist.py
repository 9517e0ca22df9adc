"""Which of two nets denoises a picture: one for white noise, one for all that cameras leave.

A net that has learnt the coarse noise of cameras within a few thousand steps forgets some of what
it knew of white noise. The gate beside the judge has learnt which of the two makes more of a
picture: see nets.gate and training.gate.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import torch

from mdn.nets.unet import UNet
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.registry import store
from mdn.registry.model import Model, load_model


def specialist(model: Model, noise: NoiseConditioning) -> Model:
    """The model itself, or with the net that its card names for such noise.

    Args:
        noise: what the model's judge read; the input of all nets.

    Raises:
        ModelError: the weights of the other are missing or damaged.
    """
    reading = noise.reading
    if reading is None or reading.clean:
        return model
    return with_net_of(model, model.card.white if reading.white else model.card.coarse)


def reader(model: Model) -> UNet:
    """The net whose judge and gates read the noise: its own, or that of the net for coarse noise.

    A model that has another for coarse noise shares that one's judge, and has no gates itself.

    Raises ModelError: the weights of the other are missing or damaged.
    """
    net = with_net_of(model, model.card.coarse).net
    assert isinstance(net, UNet)  # the only one that has a judge
    return net


def with_net_of(model: Model, name: str) -> Model:
    """The model with the net of another, which has the same judge; itself, if the name is empty."""
    if not name:
        return model
    other = _loaded(name, model.device)
    return replace(model, net=other.net, halo=other.halo, multiple=other.multiple)


@functools.cache
def _loaded(name: str, device: torch.device) -> Model:
    return load_model(store.find(name), device)
