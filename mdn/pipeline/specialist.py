"""Which of two nets denoises a picture: one for white noise, one for all that cameras leave.

A net that has learnt the coarse noise of cameras within a few thousand steps forgets some of what
it knew of white noise. The judge tells the two apart: averaged over 2 x 2 pixels, white noise keeps
half of its sigma, a camera's three quarters.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import torch

from mdn.pipeline.conditioning import NoiseConditioning
from mdn.registry import store
from mdn.registry.model import Model, load_model

WHITE = 0.72  # share of sigma left at half the size up to which noise is white; chosen on held-out
# training pictures: `python -m benchmarks.specialists`


def specialist(model: Model, noise: NoiseConditioning) -> Model:
    """The model itself, or the one that its card names for white noise.

    Args:
        noise: what the model's judge read; both nets are told the same.

    Raises:
        ModelError: the weights of the other are missing or damaged.
    """
    reading = noise.reading
    if reading is None or not model.card.white or reading.clean or reading.half > WHITE:
        return model
    return of_white(model)


def of_white(model: Model) -> Model:
    """The model with the net that its card names for white noise; raises as `specialist`."""
    other = _loaded(model.card.white, model.device)
    return replace(model, net=other.net, halo=other.halo, multiple=other.multiple)


@functools.cache
def _loaded(name: str, device: torch.device) -> Model:
    return load_model(store.find(name), device)
