"""`mdn bench` as it goes, and its table at the end."""

import sys
from typing import Any, Self

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from mdn.bench import losses, tables
from mdn.bench.benchmark import Result
from mdn.bench.rows import Row
from mdn.cli.render import Lines, print_json, print_table, printable
from mdn.metrics import Metric

ROOM = 6  # lines of the terminal that the table leaves free


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


def show(result: Result, *, as_json: bool) -> None:
    """The result on standard output: JSON if wanted, a table on a terminal, else Markdown."""
    if as_json:
        print_json(result.document | {"broken": result.broken, "exit_code": result.exit_code})
    elif sys.stdout.isatty():
        titles = tables.header(result.metrics)
        rows = [[row.label, *tables.cells(row, result.metrics)] for row in result.rows]
        print_table(["data/noise", *titles], rows, right=titles[1:])
        if result.worst:
            metric = result.metrics[0]
            typer.echo(f"\nPictures that lose most, {metric.title}:")
            worst = [losses.cells(loss, metric) for loss in result.worst]
            print_table(losses.TITLES, worst, right=losses.TITLES[3:])
            for line in result.document["worse_than_input"]:
                typer.echo(line)
    else:
        typer.echo(result.markdown)
