"""Where recipes lie, and how one is laid over another."""

import difflib
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w

from mdn.errors import UsageError
from mdn.nets import current_names
from mdn.registry import store

RECIPE = "recipe.toml"
FOLDER = "recipes"
BASE = "base"
STAGE = "stage"
FILES = {"init_weights", "init_judge", "join"}  # keys whose values are files, or names of stages

Table = dict[str, Any]


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
        return [_beside(path, each, names) for each in value]
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
