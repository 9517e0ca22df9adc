"""`mdn train`."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt


@opt.command
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
        Path, opt.option("The folder that the recipe's picture folders are in.", metavar="DIR")
    ] = Path(),
    out: Annotated[
        Path | None,
        opt.option(
            "Folder of the run; by default runs/ and the recipe's name. With --plot, the picture"
            " to write.",
            "-o --out",
            "DIR",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        opt.option(
            "Change a key of the recipe, such as optim.steps=2000. Can be given several times.",
            "--set",
            "KEY=VALUE",
        ),
    ] = None,
    resume: Annotated[
        bool,
        opt.option("Continue from the checkpoint in the folder.", "--resume/--no-resume"),
    ] = True,
    stop_after: Annotated[
        int | None,
        opt.option(
            "Stop after that many steps; the same command continues.", metavar="STEPS", min=1
        ),
    ] = None,
    plot: Annotated[
        bool, opt.option("Draw the curves of runs as one picture, without training.", "--plot")
    ] = False,
    list_recipes: Annotated[
        bool, opt.option("List the recipes that came with mdn.", "--list")
    ] = False,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    compile: Annotated[
        bool,
        opt.work("Compile the net with torch.compile first, if that is possible.", "--compile"),
    ] = False,
    workers: Annotated[
        int, opt.work("Processes that draw the noisy crops ahead.", metavar="N", min=0)
    ] = 0,
    threads: opt.Threads = None,
    quiet: opt.Quiet = False,
    as_json: opt.AsJson = False,
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

    from mdn.cli import assign
    from mdn.cli.interrupts import INTERRUPTED, TERMINATED
    from mdn.cli.render import duration, print_json
    from mdn.cli.views import TrainView
    from mdn.commands import train as task

    named = recipe or []
    if list_recipes:
        return _list(as_json)
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
        precision=precision,
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
        document: dict[str, object] = {
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
        print_json(document)
    if exit_code:
        raise typer.Exit(exit_code)
    return None


def _list(as_json: bool) -> None:
    """Each recipe that came with mdn, as a table or as JSON."""
    from mdn.cli.render import print_json, print_table
    from mdn.training import recipe_files, recipe_parse

    found = {name: recipe_parse.load(path) for name, path in recipe_files.names().items()}
    if as_json:
        about = [
            {"name": name, "arch": each.arch, "steps": each.optim.steps, **each.about}
            for name, each in found.items()
        ]
        return print_json(about)
    rows = [
        (name, each.arch, f"{each.optim.steps:,}", each.about.get("summary", ""))
        for name, each in found.items()
    ]
    return print_table(("NAME", "ARCH", "STEPS", "SUMMARY"), rows, right=("STEPS",))
