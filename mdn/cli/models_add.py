"""`mdn models add` and `remove`: the user's own models come and go."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt
from mdn.errors import UsageError

ARCHITECTURES = ("swinir-masked", "unet", "mpi-skip")  # a test holds this to the registry's list


@opt.command
def add(
    source: Path,
    name: str | None = None,
    arch: Annotated[str | None, opt.rules(autocompletion=opt.one_of(*ARCHITECTURES))] = None,
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

    [bold]Examples[/bold]

      mdn models add masked_denoising.pth --as masked --arch swinir-masked
      mdn models add baseline.pth --set input_mask=none --set attention_ratio=[0,0]
      mdn models add runs/mine --as mine
      mdn denoise photo.png --model masked
    """
    from mdn.cli import assign, render
    from mdn.registry import add as registry

    about = {"title": title, "licence": licence}
    card = registry.add(
        source,
        name,
        arch,
        options=assign.table(changes or []),
        about={key: value for key, value in about.items() if value is not None},
        force=force,
    )
    if as_json:
        facts = {"name": card.name, "arch": card.arch, "parameters": card.parameters}
        render.print_json(facts | {"folder": str(card.folder)})
    else:
        typer.echo(f"{card.name}: {card.arch}, {card.parameters:,} parameters, in {card.folder}")


@opt.command
def remove(name: opt.AnyModel, yes: bool = False) -> None:
    """Deletes one of your own models; those that came with mdn stay."""
    from mdn.registry import store

    card = store.find(name)
    if card.origin == "user" and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{name}: say --yes to delete {card.folder}")
        typer.confirm(f"Delete {card.folder}?", abort=True, err=True)
    from mdn.registry import add as registry

    typer.echo(f"{name}: removed from {registry.remove(name).parent}")
