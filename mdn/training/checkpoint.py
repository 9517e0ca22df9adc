"""Checkpoints that are either whole or not there, and the weights that are made of them."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mdn.errors import FileError, UsageError
from mdn.io.atomic import replacing, write_bytes
from mdn.registry.model import pack, stored
from mdn.training.recipe import Recipe

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Everything a run needs to go on: weights, average, optimisers, step, seconds, recipe.

    Raises FileError: it cannot be written; the former checkpoint stays.
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
        raise UsageError(
            f"{path}: not a readable checkpoint: {error}; remove it to begin anew"
        ) from error


def save_weights(path: Path, net: nn.Module, arch: str, values: dict[str, Tensor]) -> None:
    """Weights in few bits that carry the architecture and config they belong to."""
    write_bytes(path, pack(net, arch, stored(values)))


def card_facts(recipe: Recipe, title: str, scores: dict[str, float]) -> dict[str, Any]:
    """What a recipe and the last validation say for the model's card.

    title: what was validated on. scores: by the names of the validation's rows.
    """
    ranges = [(row.kind, row.low, row.high) for row in recipe.noise]
    if recipe.rendered:
        noises = [f"path tracing, {low:g}-{high:g} spp" for _, low, high in ranges]
    else:
        noises = [f"{kind} {low:g}-{high:g}" for kind, low, high in ranges]
        parts = (
            ("masks {low:g}-{high:g} on {share:g} of the crops", recipe.mask),
            ("contrast times {low:g}-{high:g} on {share:g} of it", recipe.contrast),
            ("jpeg {low:g}-{high:g} on {share:g} of it", recipe.jpeg),
        )
        noises += [text.format(**vars(part)) for text, part in parts if part.share]
    rounded = {name: round(score, 2) for name, score in scores.items()}
    return {
        "name": recipe.name,
        "training_data": "crops of " + ", ".join(recipe.data.sources),
        "noise_seen": noises,
        "precisions": ["fp32", "bf16"],
        "domain": recipe.domain,
        "scores": {title: rounded} if rounded else {},
    } | recipe.about
