"""From a card to a net, its weights verified."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mdn import nets
from mdn.errors import ModelError
from mdn.registry.cards import Card
from mdn.registry.store import verify


def load(card: Card, device: torch.device) -> nn.Module:
    """The model's net with its weights, in evaluation mode, float32, on the device.

    The net is rebuilt from the config that the weights carry, never from a file's name. A .pth is
    unpickled with weights_only, so that it can run no code; its config is then on the card.

    Raises ModelError: weights missing, damaged, changed, or not of the net they claim to be.
    """
    verify(card)
    try:
        if card.weights.endswith(".safetensors"):
            state, about = read_safetensors(card.weights_path)
            net = build(about["arch"], json.loads(about["config"]), state)
        else:
            net = build(card.arch, card.config, _read_pickle(card))
        if card.channels != net.config.channels:
            takes = net.config.channels
            raise ValueError(f"they take {takes} channels, the card says {card.channels}")
        if card.multiple % net.multiple:
            raise ValueError(f"they need sizes of {net.multiple}, the card says {card.multiple}")
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise ModelError(f"model {card.name!r}: its weights do not load: {line(error)}") from error
    return net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


class _Unset(TorchFunctionMode):
    """Within it weights are not drawn at random: those of the file take their place."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") != nn.init.__name__:
            return func(*args, **(kwargs or {}))
        return args[0] if args else (kwargs or {})["tensor"]


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by key, and the metadata. Raises SafetensorError or OSError."""
    with safe_open(path, "pt") as stream:
        return {key: stream.get_tensor(key) for key in stream.keys()}, stream.metadata() or {}  # noqa: SIM118


def build(arch: str, config: dict[str, Any], state: Mapping[str, Tensor]) -> Any:
    """The net of that architecture and config with these weights, in single precision.

    Raises KeyError, TypeError, ValueError or RuntimeError: they are of no such net.
    """
    with _Unset():
        net = nets.build(arch, config)
    net.load_state_dict({key: _single(value) for key, value in state.items()})
    return net


def line(error: BaseException) -> str:
    """What a library's exception says, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _read_pickle(card: Card) -> dict[str, Tensor]:
    try:
        state = torch.load(card.weights_path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"it holds more than weights: {error}") from error
    for key in ("params_ema", "params", "state_dict"):
        state = state.get(key, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError("it holds no table of weights")
    return {key: _single(value) for key, value in state.items()}


def _single(value: Tensor) -> Tensor:
    """Weights are stored in half precision and computed with in single."""
    return value.float() if value.is_floating_point() else value
