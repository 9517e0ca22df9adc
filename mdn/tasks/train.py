"""`mdn train`: a recipe and a folder of clean pictures in, a model folder out."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from mdn.engine.device import choose_device, choose_precision
from mdn.errors import FileError
from mdn.training import recipe as recipes
from mdn.training.data import Crops, load_pictures, split
from mdn.training.loop import Trainer
from mdn.training.processes import Processes, join, leave
from mdn.training.watch import Watch


@dataclass(frozen=True)
class Settings:
    """What `mdn train` was asked for.

    Attributes:
        recipe: the recipe file.
        data: the folder that the recipe's sources are in.
        out: folder of the run; runs/<recipe's name> where None.
        resume: go on from the folder's checkpoint if it has one.
        stop_after: stop after that many steps of this call, the checkpoint kept.
        device, precision: as for every command.
        save_every: seconds between checkpoints.
    """

    recipe: Path
    data: Path = Path()
    out: Path | None = None
    resume: bool = True
    stop_after: int | None = None
    device: str = "auto"
    precision: str = "auto"
    save_every: float = 180.0


class Report(Protocol):
    """Who listens to a run."""

    def note(self, line: str) -> None: ...
    def begin(self, step: int, steps: int) -> None: ...
    def row(self, row: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Result:
    """Where the run stands. `finished` is False where it was stopped before its last step."""

    folder: Path
    step: int
    seconds: float
    finished: bool


def run(settings: Settings, report: Report) -> Result:
    """Train until the recipe ends, `stop_after` is reached, or SIGTERM or Ctrl-C arrives.

    Raises:
        UsageError: the recipe, the data or the machine does not allow it.
        FileError: the folder cannot be written.
        MdnError: the loss is no longer a number.
    """
    recipe = recipes.load(settings.recipe)
    folder = settings.out or Path("runs") / recipe.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(folder, f"cannot be made: {error.strerror}") from error
    processes = join(choose_device(settings.device))
    try:
        trainer = _prepare(settings, recipe, folder, processes, report)
        report.begin(trainer.step, recipe.optim.steps)
        until = trainer.step + settings.stop_after if settings.stop_after else None
        with _Stop() as stop:
            trainer.run(stop, report.row, until, settings.save_every)
        return Result(folder, trainer.step, trainer.seconds, trainer.step >= recipe.optim.steps)
    finally:
        leave()


def _prepare(
    settings: Settings,
    recipe: recipes.Recipe,
    folder: Path,
    processes: Processes,
    report: Report,
) -> Trainer:
    pictures = load_pictures(recipe.data.sources, settings.data)
    training, held_out = split(pictures, recipe.data.hold_out)
    crops = Crops(training, recipe.data.crop, processes.device)
    report.note(f"{len(crops.pictures)} pictures to train on, {len(held_out)} held out")
    if crops.left_out:
        report.note(f"{crops.left_out} pictures are smaller than the crop and were left out")
    watch = Watch(held_out, recipe.watch, processes.device)
    precision = choose_precision(settings.precision, processes.device)
    trainer = Trainer(recipe, folder, crops, watch, processes, precision)
    if settings.resume and trainer.resume():
        report.note(f"going on from step {trainer.step} in {folder}")
    elif not settings.resume:
        trainer.log.rewind(-1)
    if processes.first:
        (folder / "recipe.toml").write_text(recipe.text, encoding="utf-8")
    return trainer


class _Stop:
    """True once SIGTERM or SIGINT has arrived: the loop then ends after the step at hand."""

    def __init__(self) -> None:
        self.asked = False
        self._former: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self.asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        self.asked = True

    def __enter__(self) -> _Stop:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._former[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
