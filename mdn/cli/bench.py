"""`mdn bench`."""

import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt
from mdn.errors import UsageError

about = partial(opt.option, rich_help_panel="What is measured")


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
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGES",
            show_default=False,
            autocompletion=_second_word,
            help="Your own noisy pictures, without clean versions. The models are ranked on each "
            "by self-supervised scores.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        about(
            "Folders of clean pictures, of pairs (with noisy/ and gt/ inside), or of renders"
            " (SCENE_SPP.exr and a reference). Short names are looked up in --root. mitsuba: three"
            " scenes, rendered once.",
            metavar="DIR[,DIR]",
        ),
    ] = None,
    model: Annotated[
        str,
        opt.models(
            about,
            "Models (NAME:8 averages 8 passes), zeroshot:NAME or zeroshot:NAME:PRESET (fitted to"
            " each picture), and classical methods: peer:bm3d, peer:bm3d-blind, peer:nlm, peer:tv,"
            " peer:wavelet, peer:opencv-nlm, peer:all; for renders peer:oidn, peer:oidn-colour.",
        ),
    ] = opt.DEFAULT_MODEL,
    noise: Annotated[
        str,
        about(
            "suite, unknown (noises that no model was trained on), all, none, a type at its"
            " published levels, or TYPE:LEVEL.",
            metavar="NOISE[,NOISE]",
        ),
    ] = "suite",
    protocol: Annotated[
        str,
        about(
            "paper: input and output rounded to 8 bits, SSIM with an 11x11 Gaussian window. float:"
            " no rounding, SSIM with a 7x7 window.",
            metavar="paper|float",
        ),
    ] = "paper",
    unclipped: Annotated[
        bool,
        about(
            "Neither clip nor round the noisy pictures, as in most published figures for Gaussian"
            " noise.",
            "--unclipped",
        ),
    ] = False,
    metrics: Annotated[
        str,
        about(
            "psnr, ssim, ms-ssim, gmsd, lpips, and psnr-fit (after the best gain and offset); on"
            " the linear light of renders relmse, smape, flip.",
            metavar="NAME[,NAME]",
        ),
    ] = "psnr,ssim",
    limit: Annotated[
        int | None,
        about("Take only the first N pictures of each folder.", metavar="N", min=1),
    ] = None,
    seed: Annotated[int, about("Random seed of the noise.", metavar="N", min=0)] = 0,
    root: Annotated[Path | None, opt.root(about)] = None,
    out: Annotated[
        Path | None,
        opt.files(
            "Folder for results.csv, .json and .md, pictures.csv and every single score. The same"
            " command then continues where it stopped.",
            "-o --out",
            "DIR",
        ),
    ] = None,
    check_ranking: Annotated[
        bool,
        about(
            "With --data: compare the ranking made without clean versions with the true one, and"
            " print how often it is right.",
            "--check-ranking",
        ),
    ] = False,
    fail_below: Annotated[
        list[str] | None,
        opt.files(
            "Exit with code 7 if this is not reached: [MODEL@]DATA/NOISE[:METRIC]>=NUMBER. Can be"
            " given several times.",
            metavar="CONDITION",
        ),
    ] = None,
    worst: Annotated[
        bool,
        opt.files(
            "List the pictures that lose most, or gain least, against their noisy input.",
            "--worst",
        ),
    ] = False,
    report: Annotated[
        Path | None,
        opt.files(
            "Write one HTML page that opens offline: tables, plots, pictures, and how to repeat it"
            " all.",
            metavar="FILE.html",
        ),
    ] = None,
    plots: Annotated[
        bool, opt.files("Draw plots and contact sheets into plots/ in --out.", "--plots")
    ] = False,
    finished: Annotated[
        Path | None,
        opt.files(
            "Make --report and --plots from the results in this folder, without measuring again.",
            "--from",
            "DIR",
        ),
    ] = None,
    dask: Annotated[
        str | None,
        opt.files(
            "Share the pictures of --data among the workers of a Dask cluster, as mdn denoise"
            " --dask does. Scores stay the same; times are those of workers side by side.",
            "--dask",
            "WHERE",
        ),
    ] = None,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Threads = None,
    quiet: opt.Quiet = False,
    as_json: opt.AsJson = False,
) -> None:
    """Measures models and classical methods on the same noisy pictures.

    The table goes to standard output, as Markdown unless that is a terminal.
    The noise is the one that mdn noise adds with the same --seed. Exit codes
    are those of every command, and 7 where a --fail-below does not hold.

    [bold]Examples[/bold]

      mdn bench --data photos/ --noise gaussian:25,poisson:3.5
      mdn bench --model photo,peer:bm3d --data cbsd68,kodak24 -o results/
      mdn bench --data cbsd68 --fail-below 'cbsd68/gaussian25>=30'
      mdn bench --data photos/ -o results/ --plots --report results.html
      mdn bench --data val/cameras --worst
      mdn bench --from results/ --report results.html
      mdn bench photo.png --model photo,peer:nlm
      mdn bench --check-ranking --data cbsd68 --noise gaussian:25 --limit 4
    """
    if finished is not None and not (inputs or check_ranking):
        if data is not None:
            raise UsageError("--from DIR measures nothing: leave out --data")
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
