"""`mdn models`: what is there, what its card says, where it lies, whether it is whole."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mdn.cli import failures, help, views
from mdn.cli import options as opt
from mdn.errors import ModelError, UsageError
from mdn.registry import store
from mdn.registry.cards import Card

ARCHITECTURES = ("swinir-masked", "unet", "mpi-skip")  # a test holds this to the registry's list

app = typer.Typer(
    cls=help.Group,
    no_args_is_help=True,
    help="Lists, shows, checks and adds models.",
)


@app.command("list", cls=help.Command)
@help.command
def list_models(context: typer.Context, as_json: bool = False) -> None:
    """Lists the models that came with mdn, and your own."""
    cards, damaged = _all_cards()
    cards = [card for card in cards if not card.hidden]
    if as_json:
        document = {"command": "models list", "models": [_facts(card) for card in cards]}
        code = ModelError.exit_code if damaged else 0
        facts = {"damaged": damaged, "exit_code": code}
        failures.print_document(context.meta, document | facts)
    else:
        header = ("NAME", "ARCH", "PARAMETERS", "MB", "DOMAIN", "ORIGIN", "SUMMARY")
        rows = [
            (c.name, c.arch, f"{c.parameters:,}", _megabytes(c), c.domain, c.origin, c.summary)
            for c in cards
        ]
        views.print_table(header, rows, right=("PARAMETERS", "MB"))
    if damaged:
        raise ModelError("; ".join(damaged))


@app.command(cls=help.Command)
@help.command
def show(name: opt.AnyModel, as_json: bool = False) -> None:
    """Shows a model's card: licence, training data, noise it has seen, measured scores."""
    card = store.find(name)
    if as_json:
        views.print_json(_facts(card))
    else:
        views.print_facts(list(_lines("", _facts(card))))


@app.command(cls=help.Command)
@help.command
def path(
    name: Annotated[str | None, help.rules(autocompletion=opt.model_names)] = None,
    as_json: bool = False,
) -> None:
    """Prints the folder of a model, or the one for your own models."""
    folder = str(store.user_folder() if name is None else store.find(name).folder)
    if as_json:
        views.print_json({"name": name, "path": folder})
    else:
        typer.echo(folder)


@app.command("verify", cls=help.Command)
@help.command
def verify_weights(
    context: typer.Context,
    name: Annotated[str | None, help.rules(autocompletion=opt.model_names)] = None,
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
        facts: dict[str, object] = {"whole": whole, "damaged": damaged}
        failures.print_document(context.meta, facts)
    else:
        views.print_facts([(model, "ok") for model in whole])
    if damaged:
        raise ModelError("; ".join(damaged))


@app.command(cls=help.Command)
@help.command
def add(
    source: Path,
    name: str | None = None,
    arch: Annotated[str | None, help.rules(autocompletion=opt.one_of(*ARCHITECTURES))] = None,
    changes: list[str] | None = None,
    title: str | None = None,
    licence: str | None = None,
    force: bool = False,
    as_json: bool = False,
) -> None:
    """Adds a model of your own: official weights, or what mdn train made.

    Checkpoints are read for their weights alone, so that a file from a
    stranger runs no code, and are converted from the names of the papers'
    releases. What does not fit is named, and nothing is added.
    """
    from mdn.registry import add as registry

    about = {"title": title, "licence": licence}
    card = registry.add(
        source,
        name,
        arch,
        options=opt.assignments(changes or []),
        about={key: value for key, value in about.items() if value is not None},
        force=force,
    )
    if as_json:
        facts = {"name": card.name, "arch": card.arch, "parameters": card.parameters}
        views.print_json(facts | {"folder": str(card.folder)})
    else:
        typer.echo(f"{card.name}: {card.arch}, {card.parameters:,} parameters, in {card.folder}")


@app.command(cls=help.Command)
@help.command
def remove(name: opt.AnyModel, yes: bool = False) -> None:
    """Deletes one of your own models; those that came with mdn stay."""
    card = store.find(name)
    if card.origin == "user" and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{name}: say --yes to delete {card.folder}")
        typer.confirm(f"Delete {card.folder}?", abort=True, err=True)
    from mdn.registry import add as registry

    typer.echo(f"{name}: removed from {registry.remove(name).parent}")


@app.command(cls=help.Command)
@help.command
def export(
    name: opt.AnyModel,
    output: Annotated[Path | None, help.rules(show_default="NAME.onnx, NAME.zip")] = None,
    bioimageio: bool = False,
    overwrite: bool = False,
    as_json: bool = False,
) -> None:
    """Writes a model as an ONNX file, for programs without PyTorch.

    Pictures of any size; the file is checked with ONNX Runtime before it is
    written. Needs: pip install 'mdn\\[onnx]', or 'mdn\\[bioimageio]'
    """
    if bioimageio:
        from mdn.commands.bioimageio import export as write
    else:
        from mdn.registry.export import export as write

    target = output or Path(f"{Path(name).name}.{'zip' if bioimageio else 'onnx'}")
    facts = write(store.find(name), target, overwrite=overwrite)
    if as_json:
        views.print_json({"name": name, "file": str(target), **facts})
        return
    shapes = ", ".join(
        f"{input_name} {'x'.join(shape)}" for input_name, shape in facts["inputs"].items()
    )
    typer.echo(f"{target}: takes {shapes}; equal to PyTorch within {facts['difference']:.1g}")


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
