"""The training logs of the models that a benchmark measured, as far as they are here."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mdn.errors import ModelError
from mdn.registry import store

LOG = "training.csv"
Columns = dict[str, list[tuple[float, float]]]


def of_contenders(document: Mapping[str, Any]) -> dict[str, Columns]:
    """(step, value) by column, for each model whose folder has a log and the weights measured."""
    found = {}
    for each in document["contenders"]:
        if each["kind"] != "model":
            continue
        try:
            card = store.find(each["name"])
        except ModelError:  # results can outlive a model
            continue
        columns = read(card.folder / LOG) if card.sha256 == each["sha256"] else {}
        if columns:
            found[each["name"]] = columns
    return found


def read(path: Path) -> Columns:
    """The numbers of a training log by column; nothing where there is no log."""
    columns: Columns = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            for line in csv.DictReader(stream):
                step = float(line["step"])
                for name, text in line.items():
                    if name != "step" and text:
                        columns.setdefault(name, []).append((step, float(text)))
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}
    return columns
