"""`mdn models add`, `remove` and `export`: models come, go, and leave for other programs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import assign, render
from mdn.cli import options as opt
from mdn.errors import UsageError
from mdn.registry import store

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
    """
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
    card = store.find(name)
    if card.origin == "user" and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{name}: say --yes to delete {card.folder}")
        typer.confirm(f"Delete {card.folder}?", abort=True, err=True)
    from mdn.registry import add as registry

    typer.echo(f"{name}: removed from {registry.remove(name).parent}")


@opt.command
def export(
    name: opt.AnyModel,
    output: Annotated[Path | None, opt.rules(show_default="NAME.onnx")] = None,
    overwrite: bool = False,
    as_json: bool = False,
) -> None:
    """Writes a model as an ONNX file, for programs without PyTorch.

    Pictures of any size; the file is checked with ONNX Runtime before it is
    written. Needs: pip install mdn\\[onnx]
    """
    from mdn.registry import export as registry

    target = output or Path(f"{Path(name).name}.onnx")
    facts = registry.export(store.find(name), target, overwrite=overwrite)
    if as_json:
        render.print_json({"name": name, "file": str(target), **facts})
        return
    shapes = ", ".join(f"{each} {'x'.join(shape)}" for each, shape in facts["inputs"].items())
    typer.echo(f"{target}: takes {shapes}; equal to PyTorch within {facts['difference']:.1g}")
