"""A model in use: its card, its net on a device, and what it can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mdn import nets
from mdn.errors import ModelError
from mdn.nets import Abilities
from mdn.registry.cards import Card
from mdn.registry.load import load
from mdn.registry.store import find, missing

Origins = list[tuple[int, int]]  # (row, column) in the picture of each tile of a batch


@dataclass(frozen=True)
class Model:
    """A model, loaded. All that its users must know of it is here as data."""

    card: Card  # what can be said of it without loading it; scores, licence, noise seen
    net: nn.Module  # in evaluation mode, float32, on the device
    abilities: Abilities  # what the net takes besides the picture
    halo: int  # pixels from a tile's edge that its result is not to be trusted
    multiple: int  # height and width of what it is given must be multiples of it
    # of a model that was fitted to a picture, stands in place of `apply_net` in
    # pipeline.denoise_tiles, and is called as that is; None: the plain net
    answer: Callable[..., Tensor] | None = None
    parts: tuple[Model, ...] = ()  # of a mixture, the models that it mixes

    @property
    def name(self) -> str:
        """As the user types it."""
        return self.card.name

    @property
    def device(self) -> torch.device:
        """Where the net is."""
        return next(self.net.parameters(), torch.empty(0)).device

    def __call__(self, x: Tensor, **more: Any) -> Tensor:
        """The net's answer to (B, C, H, W), float32; `more` is what its abilities say it takes."""
        return self.net(x, **more).float()


def load_model(card: Card, device: torch.device) -> Model:
    """The model of a card, its weights verified, and those that it mixes.

    Raises ModelError: weights missing, damaged, changed, or not of the net they claim to be; or a
        package that it needs is not installed.
    """
    if problem := missing(card):
        raise ModelError(f"model {card.name!r} {problem}")
    net = load(card, device)
    parts = tuple(load_model(find(name), device) for name in card.mixes)
    return Model(card, net, nets.abilities(net), card.context, card.multiple, parts=parts)
