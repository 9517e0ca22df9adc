"""What the small nets learn from: crops drawn once and kept in a folder, for a second run."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from mdn.io.atomic import replacing
from mdn.training.data import Crops, load_pictures, split
from mdn.training.recipe import Recipe

PART = 25  # steps whose lessons are drawn and kept together
TEST = 9  # for each lesson to test with so many to learn from

Draw = Callable[[Crops, range], dict[str, Tensor]]
"""Crops and the numbers of some steps -> what is learnt from these, a lesson a row."""


def draw_or_load(
    recipe: Recipe, data: Path, folder: Path, draw: Draw, kind: type[Crops] = Crops
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Lessons of all steps of a recipe, and those of held-out pictures to test with.

    Args:
        data: the folder that the recipe's sources are relative to.
        folder: where lessons are kept, and taken from where they are there.
        kind: how crops are taken from pictures.

    Raises UsageError: the sources cannot be read.
    """
    pictures = load_pictures(recipe.data.sources, data)
    training, held_out = (
        kind(part, recipe.side, torch.device("cpu"), recipe.data.scales, recipe.data.own_size)
        for part in split(pictures, recipe.data.hold_out)
    )
    folder.mkdir(parents=True, exist_ok=True)
    steps = recipe.optim.steps
    tests = range(steps, steps + math.ceil(steps / TEST))
    return _kept(training, range(steps), folder, draw), _kept(held_out, tests, folder, draw)


def _kept(crops: Crops, steps: range, folder: Path, draw: Draw) -> dict[str, Tensor]:
    found = []
    for part in (range(first, min(first + PART, steps.stop)) for first in steps[::PART]):
        path = folder / f"lessons-{part.start:05d}.safetensors"
        if not path.exists():
            rows = {key: value.contiguous() for key, value in draw(crops, part).items()}
            with replacing(path) as file:
                file.write(save(rows))
        found.append(load_file(path))
    return {key: torch.cat([each[key] for each in found]) for key in found[0]}
