"""`mdn train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt


def train(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE.toml", help="What to train, on what, and how.")
    ],
    data: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The folder that the recipe's picture folders are in."),
    ] = Path(),
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            show_default=False,
            help="The folder of the run; runs/<name of the recipe> otherwise.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume", metavar="", help="Go on from the checkpoint in the folder."
        ),
    ] = True,
    stop_after: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="STEPS",
            show_default=False,
            help="Stop after that many steps; run again to go on.",
        ),
    ] = None,
    device: opt.Device = "auto",
    precision: opt.PrecisionOption = opt.Precision.auto,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=opt.WORK,
            show_default=False,
            help="Processor threads to compute with; all of them otherwise.",
        ),
    ] = None,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Trains a model by a recipe; weights, log and recipe end in one folder.

    Ctrl-C, a kill or --stop-after end the run after the step at hand; the
    same command goes on from there. The log is training.csv in that folder.

    [bold]Examples[/bold]

      mdn train models/photo/recipe.toml --data pictures/
      mdn train my.toml --data pictures/ -o runs/mine --stop-after 1000
    """
    import torch

    from mdn.cli.app import INTERRUPTED
    from mdn.cli.render import duration
    from mdn.cli.views import TrainView
    from mdn.tasks import train as task

    if threads is not None:
        torch.set_num_threads(threads)
    settings = task.Settings(
        recipe,
        data=data,
        out=out,
        resume=resume,
        stop_after=stop_after,
        device=device,
        precision=precision.value,
    )
    with TrainView(recipe.stem, quiet=quiet) as view:
        result = task.run(settings, view)
        state = "finished" if result.finished else f"stopped at step {result.step}, go on with the"
        rest = "" if result.finished else " same command"
        view.say(f"{result.folder}: {state}{rest}  {duration(result.seconds)}")
    wanted = result.finished or (stop_after and result.step >= view.first + stop_after)
    if not wanted:
        raise typer.Exit(INTERRUPTED)
