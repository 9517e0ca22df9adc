"""Checkpoints that are either whole or not there, and the weights that are made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mdn.errors import FileError, UsageError
from mdn.io.atomic import replacing, write_bytes
from mdn.registry.write import pack

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Everything a run needs to go on: weights, average, optimisers, step, seconds, recipe.

    Raises:
        FileError: it cannot be written; the former checkpoint stays.
    """
    path = folder / CHECKPOINT
    with replacing(path) as stream:
        try:
            torch.save(state, stream)
        except RuntimeError as error:  # what torch makes of a full disk
            raise FileError(path, f"cannot be written: {error}") from error


def load_state(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint of a run, or None. Raises UsageError where it cannot be read."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged archives raise many kinds
        raise UsageError(f"{path}: not a readable checkpoint: {error}; use --no-resume") from error


def save_weights(path: Path, net: nn.Module, arch: str, values: dict[str, Tensor]) -> None:
    """Half-precision weights that carry the architecture and config they belong to."""
    half = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in values.items()}
    write_bytes(path, pack(net, arch, half))
