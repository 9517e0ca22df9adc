"""The training logs of the models that a benchmark measured, as far as they are here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mdn.errors import ModelError
from mdn.registry import store
from mdn.training.log import LOG, Columns, read


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
