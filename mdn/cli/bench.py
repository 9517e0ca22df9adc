"""`mdn bench`, `mdn bench analyze` and `mdn bench speed`."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdn.cli import options as opt
from mdn.cli.help import command, rules
from mdn.cli.render import Lines, print_json, print_table

if TYPE_CHECKING:
    from mdn.bench.benchmark import BenchResult

SPEED_MODELS = "photo-fast,photo,photo-fine,generalist-s15"


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
    dask: str | None = None,
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
        dask=dask,
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


@command
def analyze(
    data: str,
    out: Path,
    model: opt.AnyModel = opt.DEFAULT_MODEL,
    noise: str = "gaussian:15,gaussian:50,poisson:3,speckle:0.04,spatial:50,salt-pepper:0.02",
    patches: Annotated[int, rules(min=4)] = 32,
    side: Annotated[int, rules(min=16, max=512)] = 64,
    seed: opt.Natural = 0,
    root: Path | None = None,
    device: opt.Device = "auto",
    quiet: bool = False,
    as_json: bool = False,
) -> None:
    """Analyses what noise does to the features inside a model.

    CKA compares stages within and across models and noises; SRGA says how
    differently a model treats two noises; histograms show its deepest features.
    """
    from mdn import plots
    from mdn.bench import analysis

    request = analysis.AnalysisRequest(
        models=tuple(part.strip() for part in model.split(",")),
        data=data,
        noise=noise,
        out=out,
        patches=patches,
        side=side,
        seed=seed,
        root=root,
        device=device,
        command=shlex.join(["mdn", *sys.argv[1:]]),
    )
    with Lines(quiet=quiet) as view:
        bar = view.add_bar("patches", 1)
        document = analysis.run(request, lambda share: view.move_bar(bar, share))
        if plots.missing():
            view.say(f"mdn: note: {plots.missing()}", "yellow")
    if as_json:
        print_json(document)
    else:
        typer.echo(analysis.markdown(document), nl=False)


@command
def speed(
    model: opt.AnyModel = SPEED_MODELS,
    side: Annotated[int, rules(min=64, max=8192)] = 1024,
    count: Annotated[int, rules(min=2)] = 4,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Limit = None,
    as_json: bool = False,
) -> None:
    """Measures how fast models are, beside what this machine could do.

    Noisy pictures go from JPEG to JPEG, as mdn denoise does it. Shown are the
    work of the net for a pixel, its time, how much of the machine's rate it
    reaches, the time outside the net as a share of that in it, and the share
    of the time in which the processor waited for files. The table is
    Markdown unless it goes to a terminal.
    """
    import torch

    from mdn.bench import speed as task
    from mdn.bench.tables import table
    from mdn.engine.device import choose_device

    if threads is not None:
        torch.set_num_threads(threads)
    rates = task.rates(choose_device(device), precision)
    speeds = [
        task.measure(task.request(name.strip(), device, precision), side, count, rates)
        for name in (task.every_model() if model == "all" else model.split(","))
    ]
    if as_json:
        print_json({"machine": asdict(rates), "models": [asdict(each) for each in speeds]})
        return
    rate = f"{rates.flop / 1e9:.0f} GFLOP/s in {rates.precision}, {rates.bytes / 1e9:.1f} GB/s"
    typer.echo(f"machine: {rate}, {torch.get_num_threads()} threads\n")
    header = ("model", "kFLOP/pixel", "bytes/pixel", "net", "of the rate", "outside", "idle")
    rows = [
        (
            each.model,
            f"{each.flop / 1e3:.0f}",
            f"{each.bytes:.0f}",
            f"{1e6 * each.net:.2f} us/pixel",
            f"{each.share:.0%}",
            f"{each.rest:.0%}",
            f"{each.idle:.0%}",
        )
        for each in speeds
    ]
    if sys.stdout.isatty():
        print_table(header, rows, header[1:])
    else:
        typer.echo("\n".join(table(header, rows, 1)))
