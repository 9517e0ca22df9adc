"""What commands show: tables on standard output; lines, and bars of a batch, on standard error."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from mdn.jobs.job import BatchResult, Job, Outcome

NAME_WIDTH = 32  # of a file's name beside its bar
MOST_BARS = 4  # of files that are worked on at the same time


def printable(text: str) -> str:
    """`text` in one line: line breaks and terminal codes in a file's name are spelled out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def duration(seconds: float) -> str:
    """3.1 s, 2 min 05 s, 1 h 02 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def megapixels(value: object) -> str:
    """24.0 MP; small images keep two significant digits, tiny ones count pixels."""
    if not isinstance(value, float | int):
        return ""
    if value < 0.001:
        return f"{value * 1e6:.0f} px"
    return f"{value:.1f} MP" if value >= 1 else f"{value:.2g} MP"


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(document, indent=2, default=str))


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()
) -> None:
    """A table on standard output; off a terminal no cell is wrapped or cut.

    right: titles of the columns that hold numbers.
    """
    width = None if sys.stdout.isatty() else 1000
    columns = [Column(title, justify="right" if title in right else "left") for title in header]
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(width=width, highlight=False).print(table)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Names and values, one a line, the values aligned."""
    present = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in present), default=0)
    for name, value in present:
        typer.echo(f"{name:<{width}}  {printable(value)}")


class Lines:
    """Standard error, as a person sees it: bars on a terminal, plain lines anywhere else."""

    def __init__(self, *, quiet: bool, bars: bool = True) -> None:
        self.quiet = quiet
        # FORCE_COLOR makes rich take a file for a terminal; a bar in a log helps nobody.
        live = bars and not quiet and sys.stderr.isatty()
        self._console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(max_width=NAME_WIDTH, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[count]}", markup=False),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self._console,
            transient=True,
            disable=not live,
            refresh_per_second=5,
            speed_estimate_period=120,
            # The image may be on its way to standard output: rich must not stand in between.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def say(self, line: str, style: str = "") -> None:
        """One line, unless --quiet."""
        if not self.quiet:
            self.insist(line, style)

    def insist(self, line: str, style: str = "") -> None:
        """One line even under --quiet."""
        self._console.print(Text(printable(line), style=style), soft_wrap=True)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def add_bar(self, name: str, total: float, done: float = 0, count: str = "") -> int:
        """A new bar, known by the number returned."""
        name = printable(name)
        bar = self._bars.add_task(name, total=total, count=count)
        self._bars.update(bar, completed=done)
        return bar

    def move_bar(self, bar: int, done: float, count: str | None = None) -> None:
        """Sets how much of a bar is done, and the text beside it unless None."""
        self._bars.update(TaskID(bar), completed=done)
        if count is not None:
            self._bars.update(TaskID(bar), count=count)

    def remove_bar(self, bar: int) -> None:
        """Takes a bar away."""
        self._bars.remove_task(TaskID(bar))


class BatchView(Lines):
    """Draws a batch: the files at hand, the whole, and a line for each file that is done.

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
        self.outcomes: list[Outcome] = []  # of the jobs that are over
        self.notes: dict[int, list[str]] = {}  # the warnings of each job, by its id()
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
