"""What the small nets learn from: crops drawn once and kept in a folder, for a second run."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from mdn.errors import UsageError
from mdn.io.atomic import write_bytes
from mdn.training.build import GATES
from mdn.training.checkpoint import CHECKPOINT
from mdn.training.data import Crops, load_pictures, split
from mdn.training.recipe import Recipe

PART = 25  # steps whose lessons are drawn and kept together
TEST = 9  # for each lesson to test with so many to learn from
NAME = "lessons-{}.safetensors"  # of a part, by its first step
DRAWN_BY = "lessons.json"  # says by what they were drawn
# Of a recipe, what makes no difference to the lessons.
UNUSED = {"name", "about", "text", "watch", "init_weights", "init_judge", "frozen"}

Draw = Callable[[Crops, range], dict[str, Tensor]]
"""Crops and the numbers of some steps -> what is learnt from these, a lesson a row."""


def draw_or_load(
    recipe: Recipe,
    data: Path,
    folder: Path,
    draw: Draw,
    nets: tuple[nn.Module, ...] = (),
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Lessons of all steps of a recipe, and those of held-out pictures to test with.

    Args:
        data: the folder that the recipe's sources are relative to.
        folder: where lessons are kept, and taken from where they are there.
        nets: those whose answers are part of the lessons.

    Raises UsageError: the sources cannot be read, or the folder has lessons of another recipe, of
        other nets or other pictures.
    """
    pictures = load_pictures(recipe.data.sources, data)
    training, held_out = (
        Crops(part, recipe.side, torch.device("cpu"), recipe.data.scales, recipe.data.own_size)
        for part in split(pictures, recipe.data.hold_out)
    )
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, _drawn_by(recipe, pictures, nets))
    steps = recipe.optim.steps
    tests = range(steps, steps + math.ceil(steps / TEST))
    return _kept(training, range(steps), folder, draw), _kept(held_out, tests, folder, draw)


def _drawn_by(
    recipe: Recipe, pictures: dict[str, Tensor], nets: tuple[nn.Module, ...]
) -> dict[str, str]:
    """Digests of all that lessons follow from."""
    used = {key: value for key, value in asdict(recipe).items() if key not in UNUSED}
    sizes = [(name, *picture.shape) for name, picture in pictures.items()]
    return {
        "recipe": _digest(json.dumps(used, sort_keys=True).encode()),
        "model": _digest(*(values for net in nets for values in _weights(net))),
        "set of pictures": _digest(json.dumps(sizes).encode()),
    }


def _weights(net: nn.Module) -> list[bytes]:
    """Of all but the gates, which are what is to be learnt and have no part in the lessons."""
    state = net.state_dict()
    return [state[key].cpu().numpy().tobytes() for key in state if not key.startswith(GATES)]


def _digest(*parts: bytes) -> str:
    hash_ = hashlib.sha256()
    for part in parts:
        hash_.update(part)
    return hash_.hexdigest()


def _claim(folder: Path, drawn_by: dict[str, str]) -> None:
    """Notes what the folder's lessons are drawn by; what is there already must be of the same.

    Raises UsageError: it is of something else, or nothing says of what.
    """
    note = folder / DRAWN_BY
    before = _noted(note)
    begun = (folder / CHECKPOINT).exists() or any(folder.glob(NAME.format("*")))
    if begun and not before:
        raise UsageError(
            f"{folder}: nothing says what its lessons were drawn by; choose another -o"
        )
    other = [key for key, value in drawn_by.items() if before.get(key) != value]
    if before and other:
        raise UsageError(
            f"{folder}: its lessons are of another {' and another '.join(other)}; choose another -o"
        )
    write_bytes(note, json.dumps(drawn_by, indent=1).encode())


def _noted(note: Path) -> dict[str, str]:
    """What lessons were drawn by; empty where that is not to be read."""
    try:
        return dict(json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _kept(crops: Crops, steps: range, folder: Path, draw: Draw) -> dict[str, Tensor]:
    parts = []
    for part in (range(first, min(first + PART, steps.stop)) for first in steps[::PART]):
        path = folder / NAME.format(f"{part.start:05d}")
        if not path.exists():
            rows = {key: value.contiguous() for key, value in draw(crops, part).items()}
            write_bytes(path, save(rows))
        parts.append(load_file(path))
    return {key: torch.cat([each[key] for each in parts]) for key in parts[0]}
