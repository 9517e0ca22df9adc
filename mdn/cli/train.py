"""`mdn train`."""

import signal
import time
from pathlib import Path
from typing import Any

import typer

from mdn.cli import options as opt
from mdn.cli.help import command
from mdn.cli.views import Lines, duration, print_json, print_table

FIRST_LINE, FURTHER_LINES = 2.0, 30.0  # seconds between lines of a training off a terminal


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


class TrainView(Lines):
    """Draws a training run: a bar over its steps, and a line for each row of the log.

    Where there is no terminal for a bar, lines say how far it is and how long it still takes: soon
    after the first step, then from time to time, so that nobody waits for an hour before a mistake
    is seen, and no log is full of them.

    Attributes:
        first: the step that the run began or went on at. steps: of the whole run.
        rows: of the log, as they came. notes: remarks.
    """

    def __init__(self, name: str, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self.name, self.first, self.steps = name, 0, 0
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._bar: int | None = None
        self._begun = self._told = 0.0  # by the clock: when the first step began, the last line
        self._patience = FIRST_LINE

    def note(self, line: str) -> None:
        self.notes.append(line)
        self.say(line, "dim")

    def begin(self, step: int, steps: int) -> None:
        self.first, self.steps = step, steps
        self._begun = self._told = time.monotonic()
        self._bar = self.add_bar(self.name, steps, step, f"{step}/{steps}")

    def step(self, step: int) -> None:
        if self._bar is not None:
            self.move_bar(self._bar, step, f"{step}/{self.steps}")
        if self._bars.disable and time.monotonic() - self._told >= self._patience:
            self._tell(f"step {step} of {self.steps}  {self._left(step)}")

    def _tell(self, line: str) -> None:
        self._told, self._patience = time.monotonic(), FURTHER_LINES
        self.say(line)

    def _left(self, step: int) -> str:
        """How long the rest takes if it goes on like this."""
        pace = (time.monotonic() - self._begun) / max(1, step - self.first)
        return f"{duration(pace * (self.steps - step))} left"

    def row(self, row: dict[str, Any]) -> None:
        step = row["step"]
        self.rows.append(row)
        cells = [
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in row.items()
            if name not in ("step", "seconds")
        ]
        left = [self._left(step)] if step < self.steps else []
        self._tell("  ".join([f"step {step}", *cells, duration(row["seconds"]), *left]))
