"""Fits kept in files: one of layers that is under way, and one that is done, for other pictures."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mdn.errors import FileError
from mdn.noise.analysis.curve import Curve
from mdn.registry.cards import Card
from mdn.zeroshot.noise_fit import NoiseFit

MADE = "make one with --save-fit"


def save(path: Path | None, card: Card, parts: dict[str, Any]) -> None:
    """Keep them, all or nothing, with the model they belong to; no path, no file.

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
    return dict(_read(path, (card,), "state", "checkpoint of a fit", "leave --resume out"))


def save_fit(
    path: Path | None, card: Card, found: NoiseFit, layers: dict | None, *, fine: bool
) -> None:
    """Keep a fit that is done: what was found of the noise, and the layers if they were fitted."""
    save(path, card, {"fit": asdict(found) | {"layers": layers, "fine": fine}})


def load_fit(path: Path, cards: Sequence[Card]) -> tuple[NoiseFit, dict[str, Any] | None, bool]:
    """What `save_fit` kept, of a model with one of these cards.

    Raises FileError: there is no such file, or it is of another model.
    """
    if not path.exists():
        raise FileError(path, "--fit: no such file")
    fit = dict(_read(path, cards, "fit", "fit of mdn zeroshot", MADE))
    layers, fine, curve = fit.pop("layers"), fit.pop("fine", True), fit["curve"]
    more = [key for key in fit if key not in NoiseFit.__dataclass_fields__]
    if any(fit.pop(key) for key in more):
        raise FileError(path, "is of an older mdn, for noise that is no longer fitted", MADE)
    return NoiseFit(**fit | {"curve": Curve(**curve) if curve else None}), layers, fine


def _read(path: Path, cards: Sequence[Card], part: str, kind: str, hint: str) -> Any:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        model, values = found["model"], found[part]
    except (OSError, pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        raise FileError(path, f"is no {kind}", hint) from error
    if model not in [card.sha256 for card in cards]:
        name = cards[0].name
        raise FileError(path, f"is of a fit of another model than {name}", "name it with -m")
    return values
