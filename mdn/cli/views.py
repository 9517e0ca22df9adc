"""What commands report, as lines and bars: a batch of files, a training run, a benchmark."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from mdn.cli.render import Lines, duration, megapixels, printable
from mdn.jobs.job import BatchResult, Job, Outcome

if TYPE_CHECKING:
    from mdn.bench.scores import Row
    from mdn.metrics import Metric

ROOM = 6  # lines of the terminal that the table of a benchmark leaves free
FIRST_LINE, FURTHER_LINES = 2.0, 30.0  # seconds between lines of a training off a terminal
MOST_BARS = 4  # of files that are worked on at the same time


class BatchView(Lines):
    """Draws a batch: the files at hand, the whole, and a line for each file that is done.

    Attributes:
        notes: the warnings of each job, by its id().
        outcomes: of the jobs that are over.
        show: prints the name and details of a job that is done, in place of a line about it.
    """

    def __init__(
        self,
        total: int,
        *,
        quiet: bool,
        dry_run: bool = False,
        as_json: bool = False,
        debug: bool = False,
        show: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        super().__init__(quiet=quiet, bars=as_json or not dry_run)
        self.total, self.as_json, self.debug, self.show = total, as_json, debug, show
        self.outcomes: list[Outcome] = []
        self.notes: dict[int, list[str]] = {}
        self._begun = time.perf_counter()
        # Of the files in work, by the id() of their jobs: bar, if there is room, and share done.
        self._files: dict[int, tuple[int | None, float]] = {}
        self._whole = self.add_bar("all files", total, count=f"0/{total}") if total > 1 else None

    def remark(self, line: str) -> None:
        """A remark on the batch as a whole."""
        self.say(f"mdn: note: {line}", "dim")

    def started(self, job: Job, index: int, total: int) -> None:
        bar = self.add_bar(job.name, 1) if len(self._files) < MOST_BARS else None
        self._files[id(job)] = bar, 0.0

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        bar, _ = self._files[id(job)]
        self._files[id(job)] = bar, fraction
        if bar is not None:
            self.move_bar(bar, fraction, status or None)
        self._move_whole()

    def note(self, job: Job, line: str) -> None:
        self.notes.setdefault(id(job), []).append(line)
        self.say(f"mdn: warning: {job.name}: {line}", "yellow")

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        bar, _ = self._files.pop(id(outcome.job))
        if bar is not None:
            self.remove_bar(bar)
        self._move_whole()
        self._print(outcome)

    def _move_whole(self) -> None:
        if self._whole is not None:
            count = len(self.outcomes)
            share = sum(share for _, share in list(self._files.values()))
            self.move_bar(self._whole, count + share, f"{count}/{self.total}")

    def _print(self, outcome: Outcome) -> None:
        job = outcome.job
        arrow = f"{job.name} -> {job.target_name}"
        if outcome.status == "failed":
            if self.debug and outcome.trace:
                typer.echo(outcome.trace, err=True, nl=False)
            self.insist(f"mdn: error: {outcome.error}", "red")
        elif outcome.status == "skipped":
            self.say(f"{job.name}: skipped, {outcome.error}", "dim")
        elif outcome.status == "ok" and self.show is not None:
            if not self.as_json:
                self.show(job.name, outcome.details)
        elif outcome.status == "ok":
            copied = outcome.details.get("changed") is False
            facts = [megapixels(outcome.details.get("megapixels")), duration(outcome.seconds)]
            facts += ["unchanged: a copy of the file"] if copied else []
            self.say("  ".join([arrow, *filter(None, facts)]))
            summary = outcome.details.get("summary")
            for line in summary if isinstance(summary, list) else []:
                self.say(f"  {printable(line)}", "dim")
        elif not self.quiet and not self.as_json:
            why = f"  ({job.due})" if job.due else ""
            typer.echo(printable(arrow + why))  # a dry run's result: it goes to standard output

    def summary(self, result: BatchResult) -> None:
        """How many files came out how, for a batch of more than one."""
        if self.total < 2:
            return
        counts = {"done": result.count("ok"), "planned": result.count("planned")}
        counts |= {"skipped": result.count("skipped"), "failed": result.count("failed")}
        counts |= {"not tried": result.untried}
        parts = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
        self.say(f"{self.total} files: {parts}  {duration(time.perf_counter() - self._begun)}")


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


class BenchView(Lines):
    """Draws a benchmark on a terminal: a line by data and noise, a column by method, a bar."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._rows: dict[str, dict[str, Row]] = {}
        self._metric: Metric | None = None
        self._bar, self._total = -1, 0
        streams: dict[str, Any] = {
            "redirect_stdout": False,
            "redirect_stderr": False,
            "transient": True,
        }
        self._live = Live(
            console=self._console, get_renderable=self._drawing, refresh_per_second=4, **streams
        )

    def __enter__(self) -> Self:
        if not self._bars.disable:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begin(self, total: int, metric: Metric) -> None:
        self._metric, self._total = metric, total
        self._bar = self.add_bar("scores", total, count=f"0/{total}")

    def scored(self, row: Row, done: int) -> None:
        self._rows.setdefault(row.label, {})[row.method] = row
        self.move_bar(self._bar, done, f"{done}/{self._total}")

    def failed(self, line: str) -> None:
        self.insist(f"mdn: error: {line}", "red")

    def note(self, line: str) -> None:
        self.say(f"mdn: note: {line}", "yellow")

    def _drawing(self) -> Group:
        """The newest lines of the table, as many as the terminal has room for, and the bar."""
        if self._metric is None:
            return Group(self._bars)
        metric = self._metric
        names = list(dict.fromkeys(name for row in self._rows.values() for name in row))
        columns = [Column(metric.title), *(Column(name, justify="right") for name in names)]
        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        newest = list(self._rows.items())[-max(1, self._console.height - ROOM) :]
        for label, row in newest:
            stats = [row[name].stat(metric.name) if name in row else None for name in names]
            figures = ["" if stat is None else f"{stat.mean:.{metric.digits}f}" for stat in stats]
            table.add_row(Text(printable(label)), *figures)
        return Group(table, self._bars)
