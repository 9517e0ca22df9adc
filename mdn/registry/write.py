"""Making a model folder of trained weights: the card is derived from the net, not typed."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import tomli_w
from safetensors.torch import save
from torch import Tensor, nn

from mdn.errors import FileError
from mdn.registry.cards import CARD
from mdn.registry.store import digest


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
