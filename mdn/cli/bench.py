"""`mdn bench`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt
from mdn.errors import UsageError

ABOUT = "What is measured"


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _analyze(ctx: typer.Context, incomplete: str) -> list[str]:
    """`mdn bench an` may become `mdn bench analyze`; the shell itself completes files."""
    first = not ctx.params.get("inputs")
    return ["analyze"] if first and incomplete and "analyze".startswith(incomplete) else []


def _publish(folder: Path, data: str | None, report: Path | None, plots: bool, quiet: bool) -> None:
    """`--from`: report and plots of a finished run."""
    from mdn.bench.report import publish

    if data is not None:
        raise UsageError("--from DIR measures nothing: leave out --data")
    for path in publish.from_results(folder, report, plots):
        if not quiet:
            typer.echo(path)


def bench(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGES",
            show_default=False,
            autocompletion=_analyze,
            help="Your own noisy pictures, without clean versions. The models are ranked on each "
            "by self-supervised scores.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR[,DIR]",
            rich_help_panel=ABOUT,
            show_default=False,
            help="Folders of clean pictures, of pairs (with noisy/ and gt/ inside), or of renders"
            " (SCENE_SPP.exr and a reference). Short names are looked up in --root. mitsuba: "
            "three scenes, rendered once.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "-m",
            "--model",
            metavar="NAME[,NAME]",
            rich_help_panel=ABOUT,
            autocompletion=opt.model_names,
            help="Models (NAME:8 averages 8 passes), zeroshot:NAME or zeroshot:NAME:PRESET (fitted "
            "to each picture), and classical methods: peer:bm3d, peer:bm3d-blind, peer:nlm, "
            "peer:tv, "
            "peer:wavelet, peer:opencv-nlm, peer:all; for renders peer:oidn, peer:oidn-colour.",
        ),
    ] = opt.DEFAULT_MODEL,
    noise: Annotated[
        str,
        typer.Option(
            metavar="NOISE[,NOISE]",
            rich_help_panel=ABOUT,
            help="suite, unknown (noises that no model was trained on), all, none, a type at its "
            "published levels, or TYPE:LEVEL.",
        ),
    ] = "suite",
    protocol: Annotated[
        str,
        typer.Option(
            metavar="paper|float",
            rich_help_panel=ABOUT,
            help="paper: input and output rounded to 8 bits, SSIM with an 11x11 Gaussian window. "
            "float: no rounding, SSIM with a 7x7 window.",
        ),
    ] = "paper",
    unclipped: Annotated[
        bool,
        typer.Option(
            "--unclipped",
            metavar="",
            rich_help_panel=ABOUT,
            help="Neither clip nor round the noisy pictures, as in most published figures for "
            "Gaussian noise.",
        ),
    ] = False,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="NAME[,NAME]",
            rich_help_panel=ABOUT,
            help="psnr, ssim, ms-ssim, gmsd, lpips, and psnr-fit (after the best gain and offset); "
            "on the linear light of renders relmse, smape, flip.",
        ),
    ] = "psnr,ssim",
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=ABOUT,
            show_default=False,
            help="Take only the first N pictures of each folder.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, metavar="N", rich_help_panel=ABOUT, help="Random seed of the noise."),
    ] = 0,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            rich_help_panel=ABOUT,
            show_default=False,
            help="Folder where short names of data are looked up; by default test/ in "
            "$MDN_TEST_DATA.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            rich_help_panel=opt.FILES,
            show_default=False,
            help="Folder for results.csv, .json and .md, pictures.csv and every single score. The"
            " same command then continues where it stopped.",
        ),
    ] = None,
    check_ranking: Annotated[
        bool,
        typer.Option(
            "--check-ranking",
            metavar="",
            rich_help_panel=ABOUT,
            help="With --data: compare the ranking made without clean versions with the true one,"
            " and print how often it is right.",
        ),
    ] = False,
    fail_below: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            rich_help_panel=opt.FILES,
            show_default=False,
            help="Exit with code 7 if this is not reached: [MODEL@]DATA/NOISE[:METRIC]>=NUMBER. "
            "Can be given several times.",
        ),
    ] = None,
    worst: Annotated[
        bool,
        typer.Option(
            "--worst",
            metavar="",
            rich_help_panel=opt.FILES,
            help="List the pictures that lose most, or gain least, against their noisy input.",
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            rich_help_panel=opt.FILES,
            show_default=False,
            help="Write one HTML page that opens offline: tables, plots, pictures, and how to "
            "repeat it all.",
        ),
    ] = None,
    plots: Annotated[
        bool,
        typer.Option(
            "--plots",
            metavar="",
            rich_help_panel=opt.FILES,
            help="Draw plots and contact sheets into plots/ in --out.",
        ),
    ] = False,
    finished: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            rich_help_panel=opt.FILES,
            show_default=False,
            help="Make --report and --plots from the results in this folder, without measuring "
            "again.",
        ),
    ] = None,
    device: opt.Device = "auto",
    precision: opt.PrecisionOption = opt.Precision.auto,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=opt.WORK,
            show_default=False,
            help="Processor threads to use; all by default.",
        ),
    ] = None,
    quiet: opt.Quiet = False,
    as_json: opt.AsJson = False,
    debug: opt.Debug = False,
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
    if inputs or check_ranking:
        if inputs and (data is not None or check_ranking):
            raise UsageError("name pictures of your own, or --data with clean ones, not both")
        if out or report or plots or finished or fail_below or worst:
            raise UsageError(
                "-o, --report, --plots, --from, --fail-below and --worst are for --data with "
                "clean pictures"
            )
        from mdn.cli import judge

        judge.run(
            _split(data) if data else (),
            tuple(inputs or ()),
            _split(model),
            noise=noise,
            limit=limit,
            seed=seed,
            root=root,
            device=device,
            precision=precision.value,
            threads=threads,
            quiet=quiet,
            as_json=as_json,
            debug=debug,
        )
    if finished is not None:
        _publish(finished, data, report, plots, quiet)
        return
    if data is None:
        raise UsageError("name what to measure on: --data DIR (or --from DIR of a finished run)")
    import torch

    from mdn import bench as task
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
        precision=precision.value,
        command=shlex.join(["mdn", *sys.argv[1:]]),
    )
    with BenchView(quiet=quiet) as view:
        result = task.run(settings, view)
    show(result, as_json=as_json)
    for line in result.broken:
        view.insist(f"mdn: error: {line}", "red")
    if result.exit_code:
        raise typer.Exit(result.exit_code)
