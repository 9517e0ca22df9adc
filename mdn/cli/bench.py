"""`mdn bench`."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt
from mdn.errors import UsageError


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text is not None else ()


def _second_word(ctx: typer.Context, incomplete: str) -> list[str]:
    """`mdn bench an` may become `mdn bench analyze`; the shell itself completes files."""
    first = not ctx.params.get("inputs")
    words = ("analyze", "speed") if first and incomplete else ()
    return [word for word in words if word.startswith(incomplete)]


@opt.command
def bench(
    context: typer.Context,
    inputs: Annotated[list[str] | None, opt.rules(autocompletion=_second_word)] = None,
    data: str | None = None,
    model: opt.AnyModel = opt.DEFAULT_MODEL,
    noise: str = "suite",
    protocol: str = "paper",
    unclipped: bool = False,
    metrics: str = "psnr,ssim",
    limit: opt.Limit = None,
    seed: opt.Natural = 0,
    root: Path | None = None,
    out: Path | None = None,
    check_ranking: bool = False,
    fail_below: list[str] | None = None,
    worst: bool = False,
    report: Path | None = None,
    plots: bool = False,
    finished: Path | None = None,
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
    are those of every command, and 7 where a --fail-below does not hold.
    """
    if finished is not None and not (inputs or check_ranking):
        if data is not None or fail_below:
            raise UsageError("--from DIR measures nothing: leave out --data and --fail-below")
        from mdn.bench.report import publish

        for path in publish.from_results(finished, report, plots):
            if not quiet:
                typer.echo(path)
        return
    if inputs or check_ranking:
        if inputs and (data is not None or check_ranking):
            raise UsageError("name pictures of your own, or --data with clean ones, not both")
        if out or report or plots or finished or fail_below or worst or dask:
            raise UsageError(
                "-o, --report, --plots, --from, --fail-below, --worst and --dask are for --data"
                " with clean pictures"
            )
    elif data is None:
        raise UsageError("name what to measure on: --data DIR (or --from DIR of a finished run)")
    import torch

    from mdn import bench as task
    from mdn.cli import rank
    from mdn.cli.bench_view import BenchView, show

    if threads is not None:
        torch.set_num_threads(threads)
        os.environ["OIDN_NUM_THREADS"] = str(threads)  # read when its library is loaded
    settings = task.Settings(
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
        fail_below=tuple(fail_below or ()),
        worst=worst,
        plots=plots,
        page=report,
        device=device,
        precision=precision,
        dask=dask,
        command=shlex.join(["mdn", *sys.argv[1:]]),
    )
    if inputs or check_ranking:
        debug = opt.debugging(context)
        rank.run(inputs or (), settings, quiet=quiet, as_json=as_json, debug=debug)
    with BenchView(quiet=quiet) as view:
        result = task.run(settings, view)
    show(result, as_json=as_json)
    for line in result.broken:
        view.insist(f"mdn: error: {line}", "red")
    if result.exit_code:
        raise typer.Exit(result.exit_code)
