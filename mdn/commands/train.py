"""`mdn train`: a recipe and a folder of clean pictures in, a model folder out."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from mdn import plots
from mdn.engine.device import choose_device, choose_precision
from mdn.errors import FileError, MdnError, UsageError
from mdn.interrupts import StopRequest
from mdn.io.atomic import write_bytes
from mdn.training import log, recipe_files
from mdn.training.data import Crops, load_pictures, split
from mdn.training.distributed import Processes, join, leave
from mdn.training.loop import Trainer
from mdn.training.recipe import Recipe
from mdn.training.renders import Scenes, load_scenes
from mdn.training.textures import Textures
from mdn.training.watch import RenderWatch, Watch, load_pairs


@dataclass(frozen=True)
class TrainRequest:
    """What `mdn train` was asked for: its options, by their names.

    `save_every`: seconds between checkpoints. `changes`: of --set, as tables in tables.
    """

    recipe: str
    data: Path = Path()
    out: Path | None = None
    resume: bool = True
    stop_after: int | None = None
    device: str = "auto"
    precision: str = "auto"
    save_every: float = 180.0
    changes: dict[str, Any] = field(default_factory=dict)
    compile: bool = False
    workers: int = 0


class Listener(Protocol):
    """Who listens to a run."""

    def note(self, line: str) -> None: ...
    def begin(self, step: int, steps: int) -> None: ...
    def step(self, step: int) -> None: ...
    def row(self, row: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Result:
    """Where the run stands."""

    folder: Path  # of the run
    step: int  # steps done
    seconds: float  # of all its parts
    finished: bool  # whether the last step of the recipe is done
    signal: int = 0  # the number of the signal that ended it, or 0


def run(request: TrainRequest, report: Listener) -> Result:
    """Train until the recipe ends, `stop_after` is reached, or SIGTERM or Ctrl-C arrives.

    Raises:
        UsageError: the recipe, the data or the machine does not allow it.
        FileError: the folder cannot be written.
        OutOfMemoryError: its batches do not fit.
        MdnError: the loss is no longer a number.
    """
    path = recipe_files.find(request.recipe)
    for stage in recipe_files.load_stages(path, request.changes, request.out):
        result = _stage(request, stage.recipe, stage.folder, report)
        if not result.finished:
            break
    return result


def _stage(request: TrainRequest, recipe: Recipe, folder: Path, report: Listener) -> Result:
    """One training; `run` for all of a recipe's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(folder, f"cannot be made: {error.strerror}") from error
    processes = join(choose_device(request.device))
    try:
        try:
            trainer = _prepare(request, recipe, folder, processes, report)
        except BaseException:
            with suppress(OSError):  # it is taken away if empty, and else stays
                folder.rmdir()
            raise
        report.begin(trainer.step, recipe.optim.steps)
        until = trainer.step + request.stop_after if request.stop_after else None
        log = _Curves(folder, report) if processes.first else report.row
        with StopRequest() as stop:
            trainer.run(stop, log, until, request.save_every, report.step)
        finished = trainer.step >= recipe.optim.steps
        return Result(folder, trainer.step, trainer.seconds, finished, stop.signal)
    finally:
        leave()


def plot(runs: Sequence[str], out: Path | None) -> Path:
    """The curves of finished or unfinished runs in one picture; the file that was written.

    Args:
        runs: their folders.
        out: the picture, .png, .svg or .pdf; log.png in the folder of a single run if None.

    Raises:
        UsageError: a folder without a log, several runs without a name for the picture, or no
            matplotlib.
        FileError: the picture cannot be written.
    """
    if not runs:
        raise UsageError("--plot: name the folders of runs, such as runs/mine")
    if out is None and len(runs) > 1:
        raise UsageError("--plot of several runs needs a name for the picture: -o log.png")
    target = out or Path(runs[0]) / log.PICTURE
    log.write_curves(target, log.read_runs([Path(run) for run in runs]))
    return target


def _prepare(
    request: TrainRequest, recipe: Recipe, folder: Path, processes: Processes, report: Listener
) -> Trainer:
    load = _renders if recipe.rendered else _pictures
    # Cameras are simulated on the CPU, and forked workers cannot use a GPU.
    on_cpu = recipe.judged or request.workers
    drawn_on = torch.device("cpu") if on_cpu else processes.device
    report.note("reading the pictures")
    crops, watch = load(request, recipe, drawn_on, processes.device, report)
    if not watch.clean:
        report.note("no picture to validate on: hold some out, or name [watch] sources")
    precision = choose_precision(request.precision, processes.device)
    trainer = Trainer(recipe, folder, crops, watch, processes, precision, request.workers)
    if request.resume and trainer.resume():
        report.note(f"continuing from step {trainer.step} in {folder}")
        if changed := recipe_files.differences(trainer.former, recipe.text):
            report.note(f"the recipe has changed since: {'; '.join(changed)}")
    else:
        if line := trainer.begin():
            report.note(line)
        trainer.log.rewind(-1)  # what ended before its first checkpoint counts no more
    if processes.first:
        write_bytes(folder / recipe_files.RECIPE, recipe.text.encode())
    if request.compile and (problem := trainer.compile()):
        report.note(f"cannot be compiled, and trains without: {problem}")
    return trainer


def _pictures(
    request: TrainRequest,
    recipe: Recipe,
    drawn_on: torch.device,
    device: torch.device,
    report: Listener,
) -> tuple[Crops, Watch]:
    """What to train on, drawn on one device, and what to validate on, another perhaps."""
    pictures = load_pictures(recipe.data.sources, request.data)
    training, held_out = split(pictures, recipe.data.hold_out)
    crops = Crops(training, recipe.side, drawn_on, recipe.data.scales, recipe.data.own_size)
    report.note(f"{len(crops.pictures)} pictures to train on, {len(held_out)} held out")
    if crops.left_out:
        report.note(f"{crops.left_out} pictures are smaller than the crop and were left out")
    if recipe.watch.sources:
        held_out = list(load_pictures(recipe.watch.sources, request.data).values())
    pairs = {name: load_pairs(request.data / name) for name in recipe.watch.pairs}
    return crops, Watch(held_out, recipe, device, pairs)


def _renders(
    request: TrainRequest,
    recipe: Recipe,
    drawn_on: torch.device,
    device: torch.device,
    report: Listener,
) -> tuple[Scenes, RenderWatch]:
    """As `_pictures`."""
    training = load_scenes(recipe.data.sources, request.data)
    watched = load_scenes(recipe.watch.sources, request.data)
    textures = None
    if recipe.data.textures:
        photos = load_pictures(recipe.data.textures, request.data)
        textures = Textures(Crops(list(photos.values()), recipe.data.crop, torch.device("cpu")))
    scenes = Scenes(list(training.values()), recipe.data.crop, drawn_on, textures)
    report.note(f"{len(scenes.pictures)} scenes to train on, {len(watched)} to validate on")
    if scenes.left_out:
        report.note(f"{scenes.left_out} scenes are smaller than the crop and were left out")
    return scenes, RenderWatch(watched, recipe.watch, device)


class _Curves:
    """Hands rows on, and draws the curves after each validation; a run does not end for a plot."""

    def __init__(self, folder: Path, report: Listener) -> None:
        self.folder, self.report = folder, report
        self.draws = not plots.missing()

    def __call__(self, row: dict[str, Any]) -> None:
        self.report.row(row)
        if not self.draws or not row.keys() - set(log.NOT_WATCHED):
            return
        try:
            log.write_curves(self.folder / log.PICTURE, log.read_runs([self.folder]))
        except MdnError as error:
            self.draws = False
            self.report.note(f"the curves are no longer drawn: {error}")
