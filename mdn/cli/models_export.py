"""`mdn models export`."""

from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt


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

    [bold]Examples[/bold]

      mdn models export photo -o photo.onnx
    """
    from mdn.cli import render
    from mdn.registry import export as registry
    from mdn.registry import store

    target = output or Path(f"{Path(name).name}.onnx")
    facts = registry.export(store.find(name), target, overwrite=overwrite)
    if as_json:
        render.print_json({"name": name, "file": str(target), **facts})
        return
    shapes = ", ".join(f"{each} {'x'.join(shape)}" for each, shape in facts["inputs"].items())
    typer.echo(f"{target}: takes {shapes}; equal to PyTorch within {facts['difference']:.1g}")
