"""From the file of a recipe to its values; all that is wrong with it in one message."""

import math
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from mdn.errors import FaultsError
from mdn.training import recipe_files
from mdn.training.recipe import (
    CLEAN,
    ContrastRecipe,
    DataRecipe,
    JpegRecipe,
    MaskRecipe,
    NoiseRecipe,
    OptimRecipe,
    Recipe,
    WatchRecipe,
)
from mdn.training.recipe_check import faults_of, nearest

SECTIONS: dict[str, type] = {
    "data": DataRecipe,
    "mask": MaskRecipe,
    "contrast": ContrastRecipe,
    "jpeg": JpegRecipe,
    "optim": OptimRecipe,
    "watch": WatchRecipe,
}
CHOICES = {
    (OptimRecipe, "name"): ("muon", "adam", "adamw"),
    (OptimRecipe, "schedule"): ("trapezoid", "cosine", "halving"),
    (Recipe, "loss"): ("l1", "l2", "psnr", "shown"),
}
# Stand in for required values that are missing, so that the rest can be checked all the same.
PLACEHOLDERS = {"sources": ("?",), "kind": CLEAN, "low": 0.0, "high": 0.0, "name": "?", "arch": ""}


def load(path: Path, changes: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe, over its base where it has one, with `changes` laid over it.

    Raises UsageError: it cannot be read, or says something that makes no sense; names every fault.
    """
    table, text = recipe_files.read(path, changes)
    return parse(table, str(path), text)


def parse(table: dict[str, Any], where: str = "recipe", text: str = "") -> Recipe:
    """A recipe from its TOML table. Raises UsageError as `load` does."""
    table = dict(table)
    faults: list[str] = []
    parts: dict[str, Any] = {"text": text}
    for key, kind in SECTIONS.items():
        if key in table or key == "data":
            parts[key] = _filled(kind, table.pop(key, {}), f"[{key}] ", faults)
    rows = table.pop("noise", [])
    if not isinstance(rows, list):
        faults.append("noise is written as [[noise]] tables")
        rows = []
    parts["noise"] = tuple(_filled(NoiseRecipe, row, "[[noise]] ", faults) for row in rows)
    recipe = _filled(Recipe, table, "", faults, **parts)
    faults += faults_of(recipe)
    if faults:
        raise FaultsError(where, faults)
    return recipe


def _filled(kind: type, table: Any, section: str, faults: list[str], **ready: Any) -> Any:
    """A dataclass from a table; values that are unknown, missing or odd are added to `faults`."""
    if not isinstance(table, dict):
        faults.append(f"{section.strip()} must be a table of keys and values")
        table = {}
    known = {f.name: f for f in fields(kind)}
    values = dict(ready)
    for key, value in table.items():
        if key not in known or key in ready:
            faults.append(f"{section}unknown key {key!r}{nearest(key, set(known) - set(ready))}")
            continue
        value, problem = _typed(value, known[key])
        if not problem and value not in CHOICES.get((kind, key), (value,)):
            problem = f"choose {', '.join(CHOICES[kind, key])}"
        if problem:
            faults.append(f"{section}{key} = {table[key]!r}: {problem}")
        else:
            values[key] = value
    for name, f in known.items():
        required = f.default is MISSING and f.default_factory is MISSING
        if required and name not in values:
            values[name] = PLACEHOLDERS[name]
            if name not in table:
                faults.append(f"{section}{name!r} is missing")
    return kind(**values)


def _typed(value: Any, f: Field[Any]) -> tuple[Any, str]:
    """A value as its field wants it, and what is wrong with it, or nothing.

    Lists become tuples, whole numbers become floats where floats are wanted.
    """
    wanted = str(f.type)
    if wanted.startswith("tuple["):
        if not isinstance(value, list | tuple):
            return value, "should be a list, in [ ]"
        found = tuple(tuple(v) if isinstance(v, list) else v for v in value)
        inner = wanted[6:].split(",")[0].rstrip("]")
        pairs = {"tuple[str": "[kind, level]", "tuple[int": "[step, side]"}
        kinds = {"str": str, "float": int | float, "int": int}.get(inner, tuple)
        if not all(isinstance(each, kinds) and not isinstance(each, bool) for each in found):
            return value, f"should be a list of {pairs.get(inner, inner)}"
        return found, ""
    if wanted.startswith("dict"):
        return value, "" if isinstance(value, dict) else "should be a table"
    if wanted == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    simple = {"int": int, "float": float, "str": str, "bool": bool}[wanted]
    if not isinstance(value, simple) or (simple is int and isinstance(value, bool)):
        return value, f"should be of type {wanted}"
    if isinstance(value, float) and not math.isfinite(value):
        return value, "should be a finite number"
    return value, ""
