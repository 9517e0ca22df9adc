"""Which model `--quality` means. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from mdn.errors import UsageError
from mdn.registry import store
from mdn.registry.cards import Card

QUALITIES = ("fast", "balanced", "best")
USUAL = "balanced"
LOOKS = 8  # at the picture, turned and mirrored, where time does not matter


@dataclass(frozen=True)
class Choice:
    """A model by name, over how many looks of it the mean is taken, and what to say of that."""

    model: str
    passes: int = 1
    note: str = ""


def choose(quality: str, domain: str = "display") -> Choice:
    """The model of that quality for values of a domain; the nearest where there is none.

    Raises:
        UsageError: no such quality.
        ModelError: a card is damaged.
    """
    if quality not in QUALITIES:
        raise UsageError(f"--quality {quality}: choose one of {', '.join(QUALITIES)}")
    usual = store.default_for(domain)
    if quality == USUAL:
        return Choice(usual)
    # Where the domain has no model of its own, that of pictures does its work at any quality.
    wanted = domain if usual != store.DEFAULT else "display"
    found = [card for card in store.list_cards() if _fits(card, quality, wanted)]
    if found:
        name = min(found, key=lambda card: (card.origin != "user", card.name)).name
        return Choice(name, LOOKS if quality == "best" else 1)
    if quality == "best":
        note = f"--quality best: there is no finer model, so {usual} looks {LOOKS} times"
        return Choice(usual, LOOKS, note)
    return Choice(usual, note=f"--quality fast: there is no faster model, so {usual} is used")


def _fits(card: Card, quality: str, domain: str) -> bool:
    return card.quality == quality and card.domain == domain
