"""`mdn bench` and `mdn compare`: results beside one another, in numbers and as a page."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from mdn.cli import options as opt
from mdn.cli.help import command, rules
from mdn.cli.views import Lines, print_json, print_table, printable
from mdn.errors import UsageError

if TYPE_CHECKING:
    from mdn.bench.benchmark import BenchResult
    from mdn.bench.scores import Row
    from mdn.metrics import Metric

ROOM = 6  # lines of the terminal that the table of a benchmark leaves free


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text is not None else ()


@command
def bench(
    data: str,
    model: opt.AnyModel = opt.DEFAULT_MODEL,
    noise: str = "suite",
    protocol: str = "paper",
    unclipped: bool = False,
    metrics: str = "psnr,ssim",
    limit: opt.Limit = None,
    seed: opt.Natural = 0,
    root: Path | None = None,
    out: Path | None = None,
    fail_below: float | None = None,
    worst: bool = False,
    plots: bool = False,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Limit = None,
    quiet: bool = False,
    as_json: bool = False,
) -> None:
    """Measures models and classical methods on the same noisy pictures.

    The table goes to standard output, as Markdown unless that is a terminal.
    The noise is the one that mdn noise adds with the same --seed. Exit codes
    are those of every command, and 7 below --fail-below.
    """
    import torch

    from mdn.bench import benchmark as task

    if threads is not None:
        torch.set_num_threads(threads)
        os.environ["OIDN_NUM_THREADS"] = str(threads)  # read when its library is loaded
    request = task.BenchRequest(
        models=_split(model),
        data=_split(data),
        noise=noise,
        protocol=protocol,
        metrics=_split(metrics),
        unclipped=unclipped,
        limit=limit,
        seed=seed,
        root=root,
        out=out,
        fail_below=fail_below,
        worst=worst,
        plots=plots,
        device=device,
        precision=precision,
        command=shlex.join(["mdn", *sys.argv[1:]]),
    )
    with BenchView(quiet=quiet) as view:
        result = task.run(request, view)
    _show(result, as_json=as_json)
    for line in result.broken:
        view.insist(f"mdn: error: {line}", "red")
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _show(result: BenchResult, *, as_json: bool) -> None:
    """The result on standard output: JSON if wanted, a table on a terminal, else Markdown."""
    from mdn.bench import tables

    if as_json:
        print_json(result.document | {"broken": result.broken, "exit_code": result.exit_code})
    elif sys.stdout.isatty():
        titles = tables.header(result.metrics)
        rows = [[row.label, *tables.cells(row, result.metrics)] for row in result.rows]
        print_table(["data/noise", *titles], rows, right=titles[1:])
        if result.worst:
            metric = result.metrics[0]
            typer.echo(f"\nPictures that lose most, {metric.title}:")
            worst = [tables.loss_cells(loss, metric) for loss in result.worst]
            print_table(tables.LOSS_TITLES, worst, right=tables.LOSS_TITLES[3:])
            for line in result.document["worse_than_input"]:
                typer.echo(line)
    else:
        typer.echo(result.markdown)


class BenchView(Lines):
    """Draws a benchmark on a terminal: a line by data and noise, a column by method, a bar."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._rows: dict[str, dict[str, Row]] = {}
        self._metric: Metric | None = None
        self._bar, self._total = -1, 0
        self._live = Live(
            console=self._console,
            get_renderable=self._drawing,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
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


@command
def compare(
    before: str,
    after: str,
    truth: str | None = None,
    output: Annotated[Path | None, rules(show_default="AFTER_compare.html")] = None,
    overwrite: bool = False,
    plane: Annotated[int | None, rules(min=0, show_default="the middle one")] = None,
    crop: str | None = None,
    quiet: bool = False,
    as_json: bool = False,
) -> None:
    """Shows two pictures as one page: a slider, zoom, their difference, and numbers.

    The page is one file that opens in any browser, offline. With the true
    picture it also says how near each of the two is to it.
    """
    from mdn.compare import compare as task
    from mdn.compare.compare import rows
    from mdn.compare.pictures import ROLES

    shown: dict[str, Any] = {"plane": plane, "crop": _crop(crop), "overwrite": overwrite}
    facts = task.run(before, after, truth, output, **shown)
    if as_json:
        print_json({"command": "compare", **facts, "exit_code": 0})
        return
    if quiet:
        return
    roles = [role for role in ROLES if role in facts]
    print_table(("", *roles), ([title, *cells] for title, cells in rows(roles, facts)), roles)
    for line in facts["notes"]:
        typer.echo(line)
    typer.echo(f"page: {facts['output']}")


def _crop(text: str | None) -> tuple[int, int, int, int] | None:
    """The four numbers of --crop."""
    if text is None:
        return None
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--crop {text}: write four whole numbers, such as 0,0,640,480") from None
    return left, top, width, height
