"""Which model `--quality` means. No torch here."""

from dataclasses import dataclass

from mdn.errors import UsageError
from mdn.registry import store

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
    if name not in store.names() or store.missing(store.find(name)):
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
    usual = store.default_for(domain)
    if quality == USUAL:
        return ModelSelection(usual, note=_better(usual))
    if quality == "best":
        return ModelSelection(usual, PASSES)
    # Where the domain has no model of its own, that of pictures does its work at any quality.
    wanted = domain if usual != store.DEFAULT else "display"
    found = [c for c in store.list_cards() if (c.quality, c.domain) == (quality, wanted)]
    if found:
        return ModelSelection(min(found, key=lambda card: (card.origin != "user", card.name)).name)
    note = f"--quality fast: there is no faster model than {usual}"
    return ModelSelection(usual, note=note)
