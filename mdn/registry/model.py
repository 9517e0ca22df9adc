"""A model in use, from its card to its net, and the other way: a model folder of a trained net."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mdn import nets
from mdn.errors import FileError, ModelError
from mdn.io.atomic import write_bytes
from mdn.nets import Abilities
from mdn.registry.cards import CARD, Card
from mdn.registry.store import digest, find, missing, verify

MIXED, UNIT = ".kernels.", ".unit"  # in names: of kernels that are mixed, and of what scales them

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


def save_weights(path: Path, net: nn.Module, arch: str, values: Mapping[str, Tensor]) -> None:
    """Weights in few bits that carry the architecture and config they belong to.

    Raises FileError: they cannot be written.
    """
    write_bytes(path, pack(net, arch, stored(values)))


def write_card(
    folder: Path, net: nn.Module, arch: str, weights: str, about: dict[str, Any]
) -> None:
    """Write card.toml beside the weights.

    Args:
        folder: holds the file `weights`.
        net: says what the engine must know: channels, multiple, receptive field, memory.
        about: what only people know: name, title, summary, licence, training_data, noise_seen,
            scores, precisions; a `context` in it replaces the net's receptive field.

    Raises FileError: the card cannot be written.
    """
    derived = {
        "arch": arch,
        "weights": weights,
        "sha256": digest(folder / weights),
        "channels": net.config.channels,  # type: ignore[union-attr]
        "multiple": net.multiple,
        "context": net.receptive_field,
        "bytes_per_pixel": net.bytes_per_pixel,
        "parameters": sum(p.numel() for p in net.parameters()),
    }
    table = {"title": about["name"], "summary": "", "licence": "unknown"} | derived | about
    tables = {key: table.pop(key) for key in list(table) if isinstance(table[key], dict)}
    try:
        text = tomli_w.dumps(table | tables)
        (folder / CARD).write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError(folder / CARD, f"cannot be written: {error.strerror}") from error


def pack(net: nn.Module, arch: str, values: dict[str, Tensor]) -> bytes:
    """A .safetensors file of the net, the same bytes for the same weights."""
    config = json.dumps(dataclasses.asdict(net.config))  # type: ignore[call-overload]
    data = save(values, {"arch": arch, "config": config})
    # The library writes the metadata in an order that differs from process to process.
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    about = dict(sorted(header.pop("__metadata__").items()))
    text = json.dumps({"__metadata__": about} | header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8, as the format asks
    return len(text).to_bytes(8, "little") + text + data[end:]
