"""Where models lie, how one is found by name, and which `--quality` means. No torch here."""

import difflib
import hashlib
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from mdn.errors import ModelError, UsageError
from mdn.registry.cards import CARD, Card, read_card

DEFAULT = "photo"
FOR_DOMAIN = {"counts": "cells", "hdr": "render"}  # where such a model is there; see Card.domain


def shipped_folder() -> Path:
    """The models that came with mdn: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def user_folder() -> Path:
    """The user's own models: `models` in MDN_HOME, or in the platform's data folder."""
    home = os.environ.get("MDN_HOME")
    return (Path(home) if home else platformdirs.user_data_path("mdn")) / "models"


def names() -> list[str]:
    """Names of all models, shipped and user's, sorted. Reads no card."""
    return sorted(_folders())


def default_for(domain: str) -> str:
    """The model for values of that domain, where the user names none."""
    name = FOR_DOMAIN.get(domain, DEFAULT)
    return name if name in _folders() else DEFAULT


def list_cards() -> list[Card]:
    """The card of every model that is not hidden, by name. Raises ModelError for a damaged card."""
    cards = [read_card(folder, origin) for _, (folder, origin) in sorted(_folders().items())]
    return [card for card in cards if not card.hidden]


def find(name: str) -> Card:
    """The card of a model by its name, or of a model folder by its path.

    Raises ModelError: there is none; offers the nearest names.
    """
    folders = _folders()
    if name in folders:
        return read_card(*folders[name])
    if os.sep in name or (os.altsep and os.altsep in name):
        return read_card(Path(name), "folder")
    near = difflib.get_close_matches(name, folders, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise ModelError(f"no model {name!r}; {hint}`mdn models list` shows all")


def with_companions(card: Card) -> list[Card]:
    """A card, and those of the models whose results it mixes.

    Raises ModelError: one of them is missing, or damaged.
    """
    return [card, *map(find, card.mixes)]


def missing(card: Card) -> str:
    """What must be installed before a model works, in one line; nothing where all is there."""
    for part in with_companions(card):
        if part.package and find_spec(part.package) is None:
            return f"needs {part.package}, which is not installed: pip install 'mdn[{part.extra}]'"
    return ""


def digest(path: Path) -> str:
    """sha256 of a file, hexadecimal. Raises ModelError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ModelError(
            f"{path}: the model's weights cannot be read: {reason}; reinstall mdn, or the model"
        ) from error


def verify(card: Card) -> None:
    """Raises ModelError where the weights are not the ones that the card was written for."""
    if digest(card.weights_path) != card.sha256:
        raise ModelError(
            f"{card.weights_path}: damaged or changed: its sha256 is not the one on the card;"
            " reinstall mdn, or the model"
        )


def _folders() -> dict[str, tuple[Path, str]]:
    """name -> (folder, origin). A user's model hides a shipped one of the same name."""
    found: dict[str, tuple[Path, str]] = {}
    for root, origin in ((shipped_folder(), "shipped"), (user_folder(), "user")):
        if root.is_dir():
            for folder in root.iterdir():
                # A leading dot: one that is being added, or that a kill left half-way.
                if (folder / CARD).is_file() and not folder.name.startswith("."):
                    found[folder.name] = (folder, origin)
    return found


QUALITIES = ("fast", "balanced", "best")
USUAL = "balanced"
PASSES = 8  # over the picture, flipped and rotated, where time does not matter


@dataclass(frozen=True)
class ModelSelection:
    """A model by name, how many passes of it are averaged, and what to say of that choice."""

    model: str
    passes: int = 1
    note: str = ""


BETTER = {"render": "render+oidn"}  # where what the second one needs is installed


def _better(usual: str) -> str:
    """A line on the model that does better than the usual one here; empty where there is none."""
    name = BETTER.get(usual, "")
    if name not in names() or missing(find(name)):
        return ""
    return f"-m {name} does better than {usual}, and what it needs is installed"


def choose(quality: str, domain: str = "display") -> ModelSelection:
    """The model of that quality for values of a domain; the nearest where there is none.

    Raises:
        UsageError: no such quality.
        ModelError: a card is damaged.
    """
    if quality not in QUALITIES:
        raise UsageError(f"--quality {quality}: choose one of {', '.join(QUALITIES)}")
    usual = default_for(domain)
    if quality == USUAL:
        return ModelSelection(usual, note=_better(usual))
    if quality == "best":
        return ModelSelection(usual, PASSES)
    # Where the domain has no model of its own, that of pictures does its work at any quality.
    wanted = domain if usual != DEFAULT else "display"
    cards = [c for c in list_cards() if (c.quality, c.domain) == (quality, wanted)]
    if cards:
        return ModelSelection(min(cards, key=lambda card: (card.origin != "user", card.name)).name)
    note = f"--quality fast: there is no faster model than {usual}"
    return ModelSelection(usual, note=note)
