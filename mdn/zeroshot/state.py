"""Fits in files: one of layers that is under way, and one that is done, for other pictures."""

import os
import pickle
import struct
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from mdn.errors import FileError
from mdn.noise.analysis.brightness import Curve
from mdn.registry.cards import Card
from mdn.zeroshot.numbers import NoiseNumbers

UNREADABLE = pickle.UnpicklingError, struct.error, UnicodeDecodeError
REMEDY = "make one with --save-fit"


def save(path: Path | None, card: Card, parts: dict[str, Any]) -> None:
    """Write the parts, all or nothing, with the model they belong to; no path, no file.

    Raises FileError: it cannot be written.
    """
    if path is None:
        return
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            torch.save({"model": card.sha256} | parts, stream)
        Path(name).replace(path)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error


def load(path: Path | None, card: Card) -> dict[str, Any] | None:
    """The state of a fit of layers that is under way; None where there is nothing yet.

    Raises FileError: it is no such file, or of a fit that began from another model.
    """
    if path is None or not path.exists():
        return None
    return dict(_read(path, card, "steps", "checkpoint of a fit", "leave --resume out"))


def save_fit(
    path: Path | None, card: Card, numbers: NoiseNumbers, layers: dict | None, *, fine: bool
) -> None:
    """Write a fit that is done: numbers, and the layers' weights if they were fitted."""
    save(path, card, {"fit": asdict(numbers) | {"layers": layers, "fine": fine}})


def load_fit(path: Path, card: Card) -> tuple[NoiseNumbers, dict[str, Any] | None, bool]:
    """What `save_fit` wrote: numbers, layers, fine.

    Raises FileError: there is no such file, or it is of another model than the card's.
    """
    if not path.exists():
        raise FileError(path, "--fit: no such file")
    fit = dict(_read(path, card, "fit", "fit of mdn zeroshot", REMEDY))
    layers, fine, curve = fit.pop("layers"), fit.pop("fine", True), fit["curve"]
    names = {part.name for part in fields(NoiseNumbers)}
    if any(fit.pop(key) for key in fit.keys() - names):
        raise FileError(path, "is of an older mdn, for noise that is no longer fitted", REMEDY)
    return NoiseNumbers(**fit | {"curve": Curve(**curve) if curve else None}), layers, fine


def _read(path: Path, card: Card, part: str, kind: str, remedy: str) -> Any:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        model, values = content["model"], content[part]
    except (OSError, RuntimeError, LookupError, TypeError, EOFError, *UNREADABLE) as error:
        raise FileError(path, f"is no {kind}", remedy) from error
    if model != card.sha256:
        problem = f"is of a fit of another model than {card.name}"
        raise FileError(path, problem, "name it with -m")
    return values
