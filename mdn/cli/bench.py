"""`mdn bench`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mdn.cli import options as opt
from mdn.cli.help import command
from mdn.cli.render import print_json, print_table

if TYPE_CHECKING:
    from mdn.bench.benchmark import BenchResult


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
    from mdn.cli.views import BenchView

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
