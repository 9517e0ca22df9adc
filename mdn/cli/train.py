"""`mdn train`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdn.cli import options as opt

if TYPE_CHECKING:
    from mdn.cli.views import TrainView
    from mdn.commands.train import Result


def train(
    recipe: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE",
            show_default=False,
            help="What to train, on what, and how: a .toml file, or a name of [bold]mdn train "
            "--list[/bold]. With [bold]--plot[/bold], folders of runs.",
        ),
    ] = None,
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
            help="Folder of the run; by default runs/ and the recipe's name. With --plot, the "
            "picture to write.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            show_default=False,
            help="Change a key of the recipe, such as optim.steps=2000. Can be given several "
            "times.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume", metavar="", help="Continue from the checkpoint in the folder."
        ),
    ] = True,
    stop_after: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="STEPS",
            show_default=False,
            help="Stop after that many steps; the same command continues.",
        ),
    ] = None,
    plot: Annotated[
        bool,
        typer.Option(
            "--plot", metavar="", help="Draw the curves of runs as one picture, without training."
        ),
    ] = False,
    list_recipes: Annotated[
        bool, typer.Option("--list", metavar="", help="List the recipes that came with mdn.")
    ] = False,
    device: opt.Device = "auto",
    precision: opt.PrecisionOption = opt.Precision.auto,
    compile: Annotated[
        bool,
        typer.Option(
            "--compile",
            metavar="",
            rich_help_panel=opt.WORK,
            help="Compile the net with torch.compile first, if that is possible.",
        ),
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            rich_help_panel=opt.WORK,
            help="Processes that draw the noisy crops ahead.",
        ),
    ] = 0,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=opt.WORK,
            show_default=False,
            help="Processor threads to use; all by default.",
        ),
    ] = None,
    quiet: opt.Quiet = False,
    as_json: opt.AsJson = False,
    debug: opt.Debug = False,
) -> None:
    """Trains a model by a recipe; weights, log and recipe end in one folder.

    Ctrl-C, a kill or --stop-after stop the run after the current step; the
    same command continues it. The log is training.csv in that folder,
    drawn in curves.png where matplotlib is installed.

    [bold]Examples[/bold]

      mdn train photo --data pictures/
      mdn train my.toml --data pictures/ -o runs/mine --stop-after 1000
      mdn train my.toml --set optim.lr=1e-4 --set name=slower
      mdn train --plot runs/mine runs/slower -o both.png
    """
    import torch

    from mdn.cli import assign, recipes
    from mdn.cli.interrupts import INTERRUPTED, TERMINATED
    from mdn.cli.render import duration, print_json
    from mdn.cli.views import TrainView
    from mdn.commands import train as task

    named = recipe or []
    if list_recipes:
        return recipes.show(as_json=as_json)
    if plot:
        picture = str(task.plot(named, out))
        return print_json({"plot": picture}) if as_json else typer.echo(picture)
    if len(named) != 1:
        raise typer.BadParameter("one recipe; mdn train --list shows those that came with mdn.")
    if threads is not None:
        torch.set_num_threads(threads)
    settings = task.Settings(
        named[0],
        data=data,
        out=out,
        resume=resume,
        stop_after=stop_after,
        device=device,
        precision=precision.value,
        changes=assign.table(changes or []),
        compile=compile,
        workers=workers,
    )
    with TrainView(Path(named[0]).stem, quiet=quiet) as view:
        result = task.run(settings, view)
        state = "finished" if result.finished else f"stopped at step {result.step}, go on with the"
        rest = "" if result.finished else " same command"
        view.say(f"{result.folder}: {state}{rest}  {duration(result.seconds)}")
    wanted = result.finished or (stop_after and result.step >= view.first + stop_after)
    stopped = TERMINATED if result.signal == signal.SIGTERM else INTERRUPTED
    exit_code = 0 if wanted else stopped
    if as_json:
        print_json(_document(view, result, exit_code))
    if exit_code:
        raise typer.Exit(exit_code)
    return None


def _document(view: TrainView, result: Result, exit_code: int) -> dict[str, object]:
    """The JSON document: where the run stands, and what it logged and remarked."""
    return {
        "command": "train",
        "folder": str(result.folder),
        "first_step": view.first,
        "step": result.step,
        "steps": view.steps,
        "finished": result.finished,
        "seconds": round(result.seconds, 3),
        "log": view.rows,
        "notes": view.notes,
        "exit_code": exit_code,
    }
