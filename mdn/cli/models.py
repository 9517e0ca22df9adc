"""`mdn models`: what is there, what its card says, where it lies, whether it is whole."""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from mdn.cli import failures, models_add, render, wording
from mdn.cli import options as opt
from mdn.errors import ModelError
from mdn.registry import store
from mdn.registry.cards import Card

app = typer.Typer(
    cls=wording.Group,
    no_args_is_help=True,
    help="Lists, shows, checks and adds models.",
)


@app.command("list", cls=wording.Command)
@opt.command
def list_models(context: typer.Context, as_json: bool = False) -> None:
    """Lists the models that came with mdn, and your own."""
    cards, damaged = _all_cards()
    cards = [card for card in cards if not card.hidden]
    if as_json:
        failures.print_document(context.meta, [_facts(card) for card in cards])
    else:
        header = ("NAME", "ARCH", "PARAMETERS", "MB", "DOMAIN", "ORIGIN", "SUMMARY")
        rows = [
            (c.name, c.arch, f"{c.parameters:,}", _megabytes(c), c.domain, c.origin, c.summary)
            for c in cards
        ]
        render.print_table(header, rows, right=("PARAMETERS", "MB"))
    if damaged:
        raise ModelError("; ".join(damaged))


@app.command(cls=wording.Command)
@opt.command
def show(name: opt.AnyModel, as_json: bool = False) -> None:
    """Shows a model's card: licence, training data, noise it has seen, measured scores."""
    card = store.find(name)
    if as_json:
        render.print_json(_facts(card))
    else:
        render.print_facts(list(_lines("", _facts(card))))


@app.command(cls=wording.Command)
@opt.command
def path(
    name: Annotated[str | None, opt.rules(autocompletion=opt.model_names)] = None,
    as_json: bool = False,
) -> None:
    """Prints the folder of a model, or the one for your own models."""
    folder = str(store.user_folder() if name is None else store.find(name).folder)
    if as_json:
        render.print_json({"name": name, "path": folder})
    else:
        typer.echo(folder)


@app.command("verify", cls=wording.Command)
@opt.command
def verify_weights(
    context: typer.Context,
    name: Annotated[str | None, opt.rules(autocompletion=opt.model_names)] = None,
    as_json: bool = False,
) -> None:
    """Checks that weights are the ones their card was written for; exit code 6 if not."""
    cards, damaged = _all_cards() if name is None else (store.with_companions(store.find(name)), [])
    whole: list[str] = []
    for card in cards:
        try:
            store.verify(card)
            whole.append(card.name)
        except ModelError as error:
            damaged.append(str(error))
    if as_json:
        found: dict[str, object] = {"whole": whole, "damaged": damaged}
        failures.print_document(context.meta, found)
    else:
        render.print_facts([(each, "ok") for each in whole])
    if damaged:
        raise ModelError("; ".join(damaged))


app.command("add", cls=wording.Command)(models_add.add)
app.command("remove", cls=wording.Command)(models_add.remove)
app.command("export", cls=wording.Command)(models_add.export)


def _all_cards() -> tuple[list[Card], list[str]]:
    """Every model's card, hidden ones too, and what is wrong with those that cannot be read."""
    cards: list[Card] = []
    damaged: list[str] = []
    for name in store.names():
        try:
            cards.append(store.find(name))
        except ModelError as error:
            damaged.append(str(error))
    return cards, damaged


def _megabytes(card: Card) -> str:
    try:
        return f"{card.weights_path.stat().st_size / 1e6:.1f}"
    except OSError:
        return "missing"


def _facts(card: Card) -> dict[str, Any]:
    return dataclasses.asdict(card) | {"folder": str(card.folder)}


def _lines(prefix: str, table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The entries of nested tables, their names joined."""
    for key, value in table.items():
        name = f"{prefix} {key}".strip().replace("_", " ")
        if isinstance(value, dict):
            yield from _lines(name, value)
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value))
        else:
            yield name, str(value)
