"""From a card to a net, its weights verified."""

import json
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

MIXED, UNIT = ".kernels.", ".unit"  # in names: of kernels that are mixed, and of what scales them


def load(card: Card, device: torch.device) -> nn.Module:
    """The model's net with its weights, in evaluation mode, float32, on the device.

    The net is rebuilt from the config that the weights carry, never from a file's name. They are a
    .safetensors, which can run no code: `add.add` makes one of any other checkpoint.

    Raises ModelError: weights missing, damaged, changed, or not of the net they claim to be.
    """
    verify(card)
    try:
        state, about = read_safetensors(card.weights_path)
        net = build(about["arch"], json.loads(about["config"]), state)
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
        state = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
        about = stream.metadata() or {}
    for key in [key for key in state if key.endswith(UNIT)]:
        name = key.removesuffix(UNIT)
        state[name] = state[name].float() * state.pop(key)
    return state, about


def stored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as files hold them: in half precision; of several kernels that are mixed, 8 bits.

    Each output of a layer (a row of its kernel) has a unit of its own, in which its weights are
    whole numbers from -127 to 127. That costs .02 dB at most, and saves half of the file.
    """
    result: dict[str, Tensor] = {}
    for key, value in state.items():
        if MIXED in key:
            unit = value.float().flatten(1).abs().amax(1).clamp(min=1e-12) / 127
            result[key + UNIT] = unit = unit.reshape(-1, *[1] * (value.ndim - 1))
            result[key] = (value.float() / unit).round().to(torch.int8)
        else:
            result[key] = value.half() if value.is_floating_point() else value
    return {key: value.contiguous() for key, value in result.items()}


def build(arch: str, config: dict[str, Any], state: Mapping[str, Tensor]) -> Any:
    """The net of that architecture and config with these weights, in single precision.

    Raises KeyError, TypeError, ValueError or RuntimeError: they are of no such net.
    """
    with _Unset():
        net = nets.build(arch, config)
    # Weights are stored in half precision and computed with in single.
    single = {key: v.float() if v.is_floating_point() else v for key, v in state.items()}
    net.load_state_dict(single)
    return net


def line(error: BaseException) -> str:
    """What a library's exception says, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
