"""Everything that is drawn with rich: tables on stdout, lines and bars on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Self

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

NAME_WIDTH = 32  # of a file's name beside its bar


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

    Args:
        header: column titles.
        rows: cells.
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
