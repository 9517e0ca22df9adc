"""`mdn train`."""

import signal
from pathlib import Path

import typer

from mdn.cli import options as opt
from mdn.cli.help import command


@command
def train(
    recipe: list[str] | None = None,
    data: Path = Path(),
    out: Path | None = None,
    changes: list[str] | None = None,
    resume: bool = True,
    stop_after: opt.Limit = None,
    plot: bool = False,
    list_recipes: bool = False,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    compile: bool = False,
    workers: opt.Natural = 0,
    threads: opt.Limit = None,
    quiet: bool = False,
    as_json: bool = False,
) -> None:
    """Trains a model by a recipe; weights, log and recipe end in one folder.

    Ctrl-C, a kill or --stop-after stop the run after the current step; the
    same command continues it. The log is training.csv in that folder,
    drawn in curves.png where matplotlib is installed.
    """
    import torch

    from mdn.cli.render import duration, print_json
    from mdn.cli.views import TrainView
    from mdn.commands import train as task
    from mdn.interrupts import INTERRUPTED, TERMINATED

    named = recipe or []
    if list_recipes:
        return _list(as_json)
    if plot:
        picture = str(task.plot(named, out))
        return print_json({"plot": picture}) if as_json else typer.echo(picture)
    if len(named) != 1:
        raise typer.BadParameter("name one recipe; mdn train --list shows those that came with mdn")
    if threads is not None:
        torch.set_num_threads(threads)
    settings = task.TrainRequest(
        named[0],
        data=data,
        out=out,
        resume=resume,
        stop_after=stop_after,
        device=device,
        precision=precision,
        changes=opt.assignments(changes or []),
        compile=compile,
        workers=workers,
    )
    with TrainView(Path(named[0]).stem, quiet=quiet) as view:
        result = task.run(settings, view)
        state = "finished" if result.finished else f"stopped at step {result.step}, go on with the"
        rest = "" if result.finished else " same command"
        view.say(f"{result.folder}: {state}{rest}  {duration(result.seconds)}")
    complete = result.finished or (stop_after and result.step >= view.first + stop_after)
    stopped = TERMINATED if result.signal == signal.SIGTERM else INTERRUPTED
    exit_code = 0 if complete else stopped
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
    from mdn.training import recipe_files

    recipes = {name: recipe_files.load(path) for name, path in recipe_files.names().items()}
    if as_json:
        about = [
            {"name": name, "arch": recipe.arch, "steps": recipe.optim.steps, **recipe.about}
            for name, recipe in recipes.items()
        ]
        return print_json(about)
    rows = [
        (name, recipe.arch, f"{recipe.optim.steps:,}", recipe.about.get("summary", ""))
        for name, recipe in recipes.items()
    ]
    return print_table(("NAME", "ARCH", "STEPS", "SUMMARY"), rows, right=("STEPS",))
