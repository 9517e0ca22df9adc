"""Recipes in files: where they lie, how one is laid over another, and the stages of one.

A recipe with stages is several trainings, of which later ones begin with what earlier ones learnt:

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

import difflib
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from mdn.errors import UsageError
from mdn.nets import current_names
from mdn.registry import store
from mdn.registry.cards import WEIGHTS
from mdn.training.recipe import Recipe
from mdn.training.recipe_parse import parse

RECIPE = "recipe.toml"
FOLDER = "recipes"
BASE = "base"
STAGE = "stage"
FILES = {"init_weights", "init_judge", "join"}  # keys whose values are files, or names of stages

Table = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One training: its recipe, and where it lies in the folder of the run."""

    recipe: Recipe
    folder: Path


def names() -> dict[str, Path]:
    """The recipes that came with mdn, by the name that `mdn train` takes, sorted."""
    root = store.shipped_folder()
    recipes = {path.stem: path for path in (root / FOLDER).glob("*.toml")}
    recipes |= {path.parent.name: path for path in root.glob(f"*/{RECIPE}")}
    return dict(sorted(recipes.items()))


def find(wish: str) -> Path:
    """The recipe file that a user means: a file, a folder of a run or model, or a shipped name.

    Raises UsageError: there is none; offers the nearest names.
    """
    path = Path(wish)
    if path.is_dir():
        path = path / RECIPE
    if path.is_file():
        return path
    shipped = names()
    if wish in shipped:
        return shipped[wish]
    near = difflib.get_close_matches(path.stem, shipped, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "mdn train --list shows mdn's own"
    kind = "recipe file" if path.suffix == ".toml" or os.sep in wish else "recipe"
    raise UsageError(f"{wish}: there is no such {kind}; {hint}")


def load(path: Path, changes: Table | None = None) -> Recipe:
    """Read a recipe, over its base where it has one, with `changes` laid over it; its last stage.

    Raises UsageError: it cannot be read, or says something that makes no sense; names every fault
    of single values, or else of what does not go together.
    """
    table, text = read(path, changes)
    table.pop(STAGE, None)
    return parse(table, str(path), text)


def load_stages(path: Path, changes: Table | None, out: Path | None) -> list[Stage]:
    """The stages of a recipe in the order in which they are trained, the recipe's own one last.

    Args:
        path: of the recipe, with `changes` laid over it.
        out: folder of the run; runs/NAME if None.

    Raises UsageError: a recipe makes no sense, or stages go in a circle.
    """
    table, text = read(path, changes)
    rows = table.pop(STAGE, [])
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and "name" in row for row in rows
    ):
        raise UsageError(f"{path}: stages are written as [[stage]] tables, with a name each")
    parts = {str(row["name"]): row for row in rows}
    order = list(_needed(path, table, parts, []))
    folder = out or Path("runs") / str(table.get("name"))
    files = {name: str(folder / name / WEIGHTS) for name in order}
    last = Stage(parse(_resolved(table, files), str(path), text), folder)
    # A stage begins with what it names itself, never with what the last one does.
    plain = {key: value for key, value in table.items() if key not in FILES}
    stages = []
    for name in order:
        own = overlay(plain, parts[name]) | {"name": f"{last.recipe.name}-{name}"}
        own = _resolved(own, files)
        text = f"# A stage of {path.name}.\n{tomli_w.dumps(own)}"
        stages.append(Stage(parse(own, str(path), text), folder / name))
    return [*stages, last]


def _needed(path: Path, table: Table, parts: Table, above: list[str]) -> Iterator[str]:
    """Names of the stages that a table refers to, those first that others refer to."""
    keys = FILES - {"join"} if table.get("init_weights") else FILES
    values = [table.get(key, "") for key in sorted(keys)]
    yielded: list[str] = []
    for name in [
        name for value in values for name in (value if isinstance(value, list) else [value])
    ]:
        if name not in parts or name in yielded:
            continue
        if name in above:
            raise UsageError(f"{path}: its stages go in a circle: {' -> '.join([*above, name])}")
        for stage in [*_needed(path, parts[name], parts, [*above, name]), name]:
            if stage not in yielded:
                yielded.append(stage)
                yield stage


def _resolved(table: Table, files: dict[str, str]) -> Table:
    """The table with the weights' files in place of the names of stages."""
    resolved = dict(table)
    for key in FILES & table.keys():
        value = table[key]
        if isinstance(value, list):
            resolved[key] = [files.get(name, name) for name in value]
        else:
            resolved[key] = files.get(str(value), str(value))
    return resolved


def read(path: Path, changes: Table | None = None) -> tuple[Table, str]:
    """A recipe's table, laid over its `base` where it names one, and the text that says it all.

    Args:
        path: the file. `base = "other.toml"` in it is looked for beside it.
        changes: laid over the result.

    Returns:
        The table, and the file as it stands or, where anything was laid over anything, one
        that stands alone.

    Raises UsageError: a file cannot be read, or the bases go in a circle.
    """
    layers = list(_layers(path, []))
    table: Table = {}
    for _, layer in reversed(layers):
        table = overlay(table, layer)
    if len(layers) == 1 and not changes:
        return table, path.read_text(encoding="utf-8")
    # A run is known by its name, and must not go on where the run of its base stopped.
    if BASE in layers[0][1] and "name" not in layers[0][1]:
        table["name"] = path.stem
    table = overlay(table, _current_names(changes or {}))
    table.pop(BASE, None)
    made_of = " over ".join(file.name for file, _ in layers)
    changed = ", with changes of the command line" if changes else ""
    return table, f"# Made of {made_of}{changed}.\n{tomli_w.dumps(table)}"


def _layers(path: Path, above: list[Path]) -> Iterator[tuple[Path, Table]]:
    """The file and its bases, the file first."""
    if path.resolve() in above:
        raise UsageError(f"{path}: its bases go in a circle")
    table = _parse(path)
    stages = [row for row in table.get(STAGE, []) if isinstance(row, dict)]
    names = {row.get("name") for row in stages}
    for part in (table, *stages):
        for key in FILES.intersection(part):
            part[key] = _beside(path, part[key], names)
    yield path, table
    if (base := table.get(BASE)) is not None:
        if not isinstance(base, str) or not (path.parent / base).is_file():
            raise UsageError(f"{path}: its base {base!r} is no file beside it")
        yield from _layers(path.parent / base, [*above, path.resolve()])


def _beside(path: Path, value: Any, names: set[Any]) -> Any:
    """Files as seen from where mdn was called; the names of stages stay."""
    if isinstance(value, list):
        return [_beside(path, name, names) for name in value]
    return str(path.parent / str(value)) if value and value not in names else value


def _parse(path: Path) -> Table:
    try:
        return _current_names(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such recipe file") from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UsageError(f"{path}: the recipe cannot be read: {reason}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is no text, and a recipe is a text in TOML") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not a readable recipe: {error}") from error


def _current_names(table: Table) -> Table:
    """The table of a recipe with keys that were renamed since release 0.1 by today's names."""
    renamed = {"init_weights" if key == "start" else key: value for key, value in table.items()}
    return renamed | (
        {"net": current_names(renamed["net"])} if isinstance(renamed.get("net"), dict) else {}
    )


def overlay(under: Table, over: Table) -> Table:
    """`under` with the keys of `over` in their place; tables are merged, lists are replaced."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlay(merged[key], value) if both else value
    return merged


def differences(former: str, now: str) -> list[str]:
    """What changed between two recipes, one "key old -> new" each; comments do not count.

    former, now: their texts, the former one perhaps of an older mdn.
    """
    try:
        tables = (_current_names(tomllib.loads(text)) for text in (former, now))
        before, after = (dict(_flat("", table)) for table in tables)
    except tomllib.TOMLDecodeError:
        return []
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return [f"{key} {_shown(before.get(key))} -> {_shown(after.get(key))}" for key in sorted(keys)]


def _flat(prefix: str, table: Table) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    if isinstance(value, list) and any(isinstance(row, dict) for row in value):
        value = [" ".join(str(cell) for cell in row.values()) for row in value]
    return "unset" if value is None else str(value)
