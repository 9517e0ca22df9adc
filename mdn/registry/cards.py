"""Model cards: all that can be said of a model without loading it. No torch here."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mdn.errors import ModelError

CARD = "card.toml"
DOMAINS = ("display", "hdr", "counts")


@dataclass(frozen=True)
class Card:
    """One model's card, as its card.toml says it.

    Attributes:
        name: what the user types after --model; the folder's name.
        title, summary: one line each.
        arch: a name in nets.ARCHITECTURES.
        weights: file name inside the folder; .safetensors, or .pth read with weights_only.
        sha256: of that file, checked on every load.
        domain: the values it was trained on: display, hdr or counts.
        channels: colour channels the net takes; gray pictures are shown to it as equal channels.
        multiple: height and width must be multiples of it.
        context: pixels from a tile's edge that its result is not to be trusted. The receptive
            field's radius, or less where tiles are measured to agree with the whole to 1/1000.
        bytes_per_pixel: peak working memory of a float32 call by pixel of its input, measured.
        precisions: in which the net keeps its quality, besides fp32.
        parameters: their number.
        noise_seen: kinds of noise in training, with their levels.
        licence, training_data: what may be done with the weights, and what they come from.
        scores: measured figures, by data set and noise, with the command that gives them.
        hidden: left out of lists; for tests.
        folder: where the model lies. origin: "shipped", "user" or "folder".
    """

    name: str
    title: str
    summary: str
    arch: str
    sha256: str
    licence: str
    training_data: str
    channels: int
    multiple: int
    context: int
    bytes_per_pixel: float
    parameters: int
    weights: str = "weights.safetensors"
    domain: str = "display"
    precisions: tuple[str, ...] = ("fp32",)
    noise_seen: tuple[str, ...] = ()
    scores: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    hidden: bool = False
    folder: Path = Path()
    origin: str = "shipped"

    @property
    def weights_path(self) -> Path:
        """The weights' file."""
        return self.folder / self.weights


def read_card(folder: Path, origin: str) -> Card:
    """The card of a model folder.

    Raises:
        ModelError: no card, or one that is not whole; names the file and the key.
    """
    path = folder / CARD
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: not a model: it has no {CARD}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path}: not a readable card: {error}") from error
    known = {f.name for f in fields(Card)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known or key in ("folder", "origin"):
            raise ModelError(f"{path}: unknown key {key!r}")
        values[key] = tuple(value) if isinstance(value, list) else value
    try:
        card = Card(**values, folder=folder, origin=origin)
    except TypeError as error:
        raise ModelError(f"{path}: {str(error).removeprefix('Card.__init__() ')}") from error
    _check(card, path)
    return card


def _check(card: Card, path: Path) -> None:
    """Types and ranges that the engine relies on."""
    numbers = (card.channels, card.multiple, card.context, card.parameters)
    wrong = (
        "channels, multiple, context and parameters must be whole numbers"
        if not all(isinstance(n, int) and n >= 0 for n in numbers)
        else "multiple and channels must be at least 1"
        if card.multiple < 1 or card.channels < 1
        else f"domain must be one of {', '.join(DOMAINS)}"
        if card.domain not in DOMAINS
        else "weights must be a file name without folders"
        if Path(str(card.weights)).name != card.weights
        else ""
    )
    if wrong:
        raise ModelError(f"{path}: {wrong}")
