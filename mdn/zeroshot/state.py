"""The fit of one picture kept in a file, so that a long one can be gone on with."""

from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch

from mdn.errors import FileError
from mdn.registry.cards import Card


def save(path: Path | None, card: Card, state: dict[str, Any]) -> None:
    """Keep the state, all of it or nothing; no path, no file.

    Raises:
        FileError: it cannot be written.
    """
    if path is None:
        return
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            torch.save({"model": card.sha256, "state": state}, stream)
        Path(name).replace(path)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error


def load(path: Path | None, card: Card) -> dict[str, Any] | None:
    """What `save` kept; None where there is nothing yet.

    Raises:
        FileError: it is no such file, or of a fit that began from another model.
    """
    if path is None or not path.exists():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        model, state = found["model"], found["state"]
    except (OSError, pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        raise FileError(path, "is no checkpoint of a fit", "leave --resume out") from error
    if model != card.sha256:
        raise FileError(path, f"is of a fit of another model than {card.name}", "name it with -m")
    return dict(state)
