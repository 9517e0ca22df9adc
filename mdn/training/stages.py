"""A recipe with stages: several trainings, of which later ones begin with what earlier ones learnt.

    [[stage]]
    name = "told"                  # laid over the rest of the recipe, as a recipe is over its base
    net = { judge = false, noise_conditioned = true }

    [[stage]]
    name = "judged"
    init_weights = "told"          # the weights of that stage

The rest of the recipe is the last stage, whose folder is the run's; the others have theirs within
it. Stages that nothing refers to are left out, so that `--set init_weights=FILE` begins with a file
and trains the last stage alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from mdn.errors import UsageError
from mdn.training import recipe_files, recipe_parse
from mdn.training.checkpoint import WEIGHTS
from mdn.training.recipe import Recipe
from mdn.training.recipe_files import FILES, STAGE


@dataclass(frozen=True)
class Stage:
    """One training: its recipe, and where it lies in the folder of the run."""

    recipe: Recipe
    folder: Path


def load(path: Path, changes: dict[str, Any] | None, out: Path | None) -> list[Stage]:
    """The stages of a recipe in the order in which they are trained, the recipe's own one last.

    Args:
        path: of the recipe, with `changes` laid over it.
        out: folder of the run; runs/NAME if None.

    Raises UsageError: a recipe makes no sense, or stages go in a circle.
    """
    table, text = recipe_files.read(path, changes)
    rows = table.pop(STAGE, [])
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and "name" in row for row in rows
    ):
        raise UsageError(f"{path}: stages are written as [[stage]] tables, with a name each")
    parts = {str(row["name"]): row for row in rows}
    order = list(_needed(path, table, parts, []))
    if not order:
        return [_stage(table, text, path, out)]
    last = _stage(_resolved(table, parts, None), text, path, out)
    folder = last.folder
    stages = []
    for name in order:
        own = _over(table, parts[name]) | {"name": f"{table.get('name', path.stem)}-{name}"}
        stages.append(_stage(_resolved(own, parts, folder), "", path, folder / name))
    return [*stages, _stage(_resolved(table, parts, folder), text, path, folder)]


def _over(table: dict[str, Any], stage: dict[str, Any]) -> dict[str, Any]:
    """A stage begins with what it names itself, never with what the last one does."""
    plain = {key: value for key, value in table.items() if key not in FILES}
    return recipe_files.overlay(plain, stage)


def _stage(table: dict[str, Any], text: str, path: Path, out: Path | None) -> Stage:
    table = dict(table)
    text = text or f"# A stage of {path.name}.\n{tomli_w.dumps(table)}"
    recipe = recipe_parse.parse(table, str(path), text)
    return Stage(recipe, out or Path("runs") / recipe.name)


def _references(table: dict[str, Any]) -> list[str]:
    used = FILES - {"join"} if table.get("init_weights") else FILES
    values = [table.get(key, "") for key in sorted(used)]
    return [name for value in values for name in (value if isinstance(value, list) else [value])]


def _needed(
    path: Path, table: dict[str, Any], parts: dict[str, Any], above: list[str]
) -> Iterator[str]:
    """Names of the stages that a table refers to, those first that others refer to."""
    yielded: list[str] = []
    for name in _references(table):
        if name not in parts or name in yielded:
            continue
        if name in above:
            raise UsageError(f"{path}: its stages go in a circle: {' -> '.join([*above, name])}")
        for each in [*_needed(path, parts[name], parts, [*above, name]), name]:
            if each not in yielded:
                yielded.append(each)
                yield each


def _resolved(table: dict[str, Any], parts: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """Names of stages replaced by their weights' files; by nothing where there is no folder yet."""

    def file(name: str) -> str:
        if name not in parts:
            return name
        return str(folder / name / WEIGHTS) if folder else ""

    found = dict(table)
    for key in FILES:
        value = table.get(key)
        if isinstance(value, list):
            found[key] = [file(name) for name in value]
        elif value is not None:
            found[key] = file(str(value))
    return found
