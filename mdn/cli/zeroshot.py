"""`mdn zeroshot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt

FIT = "The fit"


def zeroshot(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUTS", help="Images, folders, quoted patterns, or -."),
    ],
    output: opt.Output = None,
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            rich_help_panel=FIT,
            help="auto looks at the noise; fast takes fewer steps; synthetic and real are for "
            "noise that neighbours do not, or do, share, and take long.",
        ),
    ] = "auto",
    iters: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", rich_help_panel=FIT, show_default=False, help="Steps at most."
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            metavar="RATE", rich_help_panel=FIT, show_default=False, help="Peak learning rate."
        ),
    ] = None,
    mask_ratio: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=FIT,
            show_default=False,
            help="Share of the samples that a step hides.",
        ),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            metavar="DECAY",
            rich_help_panel=FIT,
            show_default=False,
            help="Decay of the averaged weights.",
        ),
    ] = None,
    pixel_shuffle: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=4,
            metavar="N",
            rich_help_panel=FIT,
            show_default=False,
            help="Take the picture apart into N x N smaller ones: for noise that neighbours share.",
        ),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", rich_help_panel=FIT, help="Forget what the model has learnt."
        ),
    ] = False,
    time_limit: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            rich_help_panel=FIT,
            show_default=False,
            help="End the fit of a picture after so long.",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=FIT,
            show_default=False,
            help="Keep the fit in this file.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", rich_help_panel=FIT, help="Go on from the checkpoint."),
    ] = False,
    seed: Annotated[
        int,
        typer.Option(min=0, metavar="N", rich_help_panel=FIT, help="Of crops and masks."),
    ] = 0,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            metavar="NAME",
            rich_help_panel=opt.WORK,
            show_default="photo, or cells for counts",
            autocompletion=opt.model_names,
            help="Where the fit begins.",
        ),
    ] = None,
    quality: opt.Quality = None,
    strength: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="SHARE",
            callback=opt.check_share,
            rich_help_panel=opt.WORK,
            help="1 removes all noise, 0 none; between, the two are mixed.",
        ),
    ] = 1.0,
    device: opt.Device = "auto",
    precision: opt.PrecisionOption = opt.Precision.auto,
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            rich_help_panel=opt.WORK,
            show_default=False,
            help="Memory to stay under while the picture is done, such as 512M or 2G.",
        ),
    ] = None,
    recursive: opt.Recursive = False,
    overwrite: opt.Overwrite = False,
    skip_existing: opt.SkipExisting = False,
    format: opt.Format = None,
    jpeg_quality: opt.JpegQuality = 95,
    fail_fast: opt.FailFast = False,
    dry_run: opt.DryRun = False,
    quiet: opt.Quiet = False,
    as_json: opt.AsJson = False,
    debug: opt.Debug = False,
) -> None:
    """Fits a model to each image, with nothing else to learn from, and denoises it.

    For pictures unlike any photo and noise unlike any in training: it takes
    seconds to minutes where [bold]mdn denoise[/bold] takes one. Where the noise is such
    as the model knows, it says so and does not fit; any option of the fit makes
    it. Ctrl-C ends a fit, and writes the best so far.

    [bold]Examples[/bold]

      mdn zeroshot cells.tif
      mdn zeroshot cells.tif --iters 1000 --checkpoint cells.fit
      mdn zeroshot scan.png --preset fast --time-limit 10 -o clean.png
    """
    from mdn import zeroshot as task
    from mdn.batch.planning import plan
    from mdn.cli import batch
    from mdn.engine import parse_size

    planned = plan(
        inputs,
        output,
        format=format,
        recursive=recursive,
        overwrite=overwrite,
        skip_existing=skip_existing,
        stores=True,
    )
    settings = task.Settings(
        jobs=planned.jobs,
        model=model,
        grade=opt.grade(quality, model),
        device=device,
        precision=precision.value,
        max_memory=None if max_memory is None else parse_size(max_memory),
        strength=strength,
        seed=seed,
        quality=jpeg_quality,
        fail_fast=fail_fast,
        dry_run=dry_run,
        wishes=task.Wishes(
            preset,
            iters,
            lr,
            mask_ratio,
            ema,
            pixel_shuffle,
            from_scratch,
            # Whoever speaks of the fit wants one.
            anyway=resume or (lr, mask_ratio, ema, time_limit, checkpoint) != (None,) * 5,
        ),
        time_limit=time_limit,
        checkpoint=checkpoint,
        resume=resume,
    )
    batch.run(
        planned,
        lambda report: task.run(settings, report),
        command="zeroshot",
        quiet=quiet,
        as_json=as_json,
        dry_run=dry_run,
        debug=opt.DEBUG_KEY in context.meta,
    )
