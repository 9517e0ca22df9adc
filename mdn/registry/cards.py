"""Model cards: all that can be said of a model without loading it. No torch here."""

import math
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from mdn.errors import ModelError

CARD = "card.toml"
WEIGHTS = "weights.safetensors"
KINDS = ("net", "external", "mixture")
DOMAINS = ("display", "hdr", "counts")
CARD_QUALITIES = ("", "fast")  # of `--quality`, that a card may claim
SIGNAL_DEPENDENT = ("poisson", "speckle")  # kinds of noise, as cards name them

_SPOKEN = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list of texts",
    dict: "a table",
}


@dataclass(frozen=True)
class Card:
    """One model's card, as its card.toml says it."""

    # what the user types after --model: the folder's name, for a model that is found by it
    name: str
    # title, summary: one line each
    title: str
    summary: str
    arch: str  # a name in nets.ARCHITECTURES
    sha256: str  # of the weights, checked on every load
    # licence, training_data: what may be done with the weights, and what they come from
    licence: str
    training_data: str
    channels: int  # colour channels the net takes; gray pictures are shown to it as equal channels
    multiple: int  # height and width must be multiples of it
    # pixels from a tile's edge that its result is not to be trusted. The receptive field's radius,
    # or less where tiles are measured to agree with the whole to 1/1000.
    context: int
    bytes_per_pixel: float  # peak working memory of a float32 call by pixel of its input, measured
    parameters: int  # their number
    # net; external: a program of others, installed with an extra; mixture: of several models
    kind: str = "net"
    extra: str = ""  # of mdn, that an external one needs: pip install 'mdn[EXTRA]'
    package: str = ""  # the module that then is there
    mixes: tuple[str, ...] = ()  # names of the models whose results a mixture mixes, in its order
    weights: str = WEIGHTS  # file name inside the folder
    domain: str = "display"  # the values it was trained on: display, hdr or counts
    quality: str = ""  # fast, where `--quality` is to choose it for its domain; else empty
    precisions: tuple[str, ...] = ("fp32",)  # in which the net keeps its quality, besides fp32
    noise_seen: tuple[str, ...] = ()  # kinds of noise in training, with their levels
    # measured figures, by data set and noise, with the command that gives them
    scores: dict[str, Any] = field(default_factory=dict)
    hidden: bool = False  # left out of lists: for tests
    folder: Path = Path()  # where the model lies
    origin: str = "shipped"  # "shipped", "user" or "folder"

    @property
    def knows_brightness(self) -> bool:
        """Whether it was trained on noise whose strength depends on brightness."""
        return any(kind.startswith(SIGNAL_DEPENDENT) for kind in self.noise_seen)

    @property
    def weights_path(self) -> Path:
        """The weights' file."""
        return self.folder / self.weights


def read_card(folder: Path, origin: str) -> Card:
    """The card of a model folder.

    Raises ModelError: no card, or one that is not whole; names the file and the key.
    """
    path = folder / CARD
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: not a model: it has no {CARD}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path}: not a readable card: {error}") from error
    keys = {f.name: f for f in fields(Card) if f.name not in ("folder", "origin")}
    if unknown := [key for key in table if key not in keys]:
        raise ModelError(f"{path}: unknown key {unknown[0]!r}")
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in table.items()
    }
    needed = [name for name, f in keys.items() if f.default is f.default_factory is MISSING]
    if missing := [name for name in needed if name not in values]:
        raise ModelError(f"{path}: it lacks {', '.join(missing)}")
    _check_types(values, path)
    if origin != "folder":  # what a model is found by; its folder may have been copied or renamed
        values["name"] = folder.name
    card = Card(**values, folder=folder, origin=origin)
    _check_ranges(card, path)
    return card


def _check_types(values: dict[str, Any], path: Path) -> None:
    hints = get_type_hints(Card)
    for key, value in values.items():
        kind = get_origin(hints[key]) or hints[key]
        fits = isinstance(value, (int, float) if kind is float else kind)
        if isinstance(value, bool) and kind is not bool:
            fits = False
        if kind is tuple and fits:
            fits = all(isinstance(item, str) for item in value)
        if not fits:
            raise ModelError(f"{path}: {key} must be {_SPOKEN[kind]}, not {value!r}")


def _check_ranges(card: Card, path: Path) -> None:
    """What the engine relies on."""
    name = Path(card.weights).name
    checks = {
        "context and parameters must be at least 0": min(card.context, card.parameters) >= 0,
        "multiple must be at least 1, channels 1 or 3": card.multiple >= 1
        and card.channels in (1, 3),
        "bytes_per_pixel must be above 0": 0 < card.bytes_per_pixel < math.inf,
        f"domain must be one of {', '.join(DOMAINS)}": card.domain in DOMAINS,
        f"kind must be one of {', '.join(KINDS)}": card.kind in KINDS,
        "an external model needs an extra and a package": (card.kind == "external")
        == bool(card.extra and card.package),
        "a mixture mixes at least two models": (card.kind == "mixture") == (len(card.mixes) > 1),
        "quality must be fast, or left out": card.quality in CARD_QUALITIES,
        "weights must be a file name without folders": name == card.weights != "",
    }
    for problem, holds in checks.items():
        if not holds:
            raise ModelError(f"{path}: {problem}")
