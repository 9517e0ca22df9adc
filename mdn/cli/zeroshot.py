"""`mdn zeroshot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt

FIT = "The fit"


def zeroshot(
    context: typer.Context,
    inputs: opt.Inputs = None,
    output: opt.Output = None,
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            rich_help_panel=FIT,
            help="auto measures the noise and chooses. fast: fewer steps. synthetic: for noise "
            "that differs from pixel to pixel; takes long. real: for blotchy noise; takes long.",
        ),
    ] = "auto",
    iters: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            rich_help_panel=FIT,
            show_default=False,
            help="Largest number of steps.",
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
            help="Share of the samples that are hidden in each step.",
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
            help="Split the picture into N x N smaller ones: for blotchy noise.",
        ),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option("--from-scratch", rich_help_panel=FIT, help="Start with random weights."),
    ] = False,
    time_limit: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            rich_help_panel=FIT,
            show_default=False,
            help="Most seconds to spend on the fit of one picture.",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=FIT,
            show_default=False,
            help="Save the fit in this file.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            rich_help_panel=FIT,
            help="Continue from the checkpoint; without one, skip what an earlier run did with the "
            "same input, options and weights.",
        ),
    ] = False,
    seed: Annotated[
        int,
        typer.Option(min=0, metavar="N", rich_help_panel=FIT, help="Random seed."),
    ] = 0,
    model: Annotated[str | None, opt.model("The model to start from.")] = None,
    quality: opt.Quality = None,
    strength: opt.Strength = 1.0,
    device: opt.Device = "auto",
    precision: opt.PrecisionOption = opt.Precision.auto,
    max_memory: opt.MaxMemory = None,
    recursive: opt.Recursive = False,
    overwrite: opt.Overwrite = False,
    skip_existing: opt.SkipExisting = False,
    from_file: opt.FromFile = None,
    watch: opt.Watch = None,
    shard: opt.ShardOption = None,
    format: opt.Format = None,
    jpeg_quality: opt.JpegQuality = 95,
    max_pixels: opt.MaxPixels = None,
    fail_fast: opt.FailFast = False,
    dry_run: opt.DryRun = False,
    quiet: opt.Quiet = False,
    as_json: opt.AsJson = False,
    debug: opt.Debug = False,
) -> None:
    """Fits a model to each image by itself, then denoises it.

    For pictures unlike any photo and noise unlike any in training. A fit takes
    seconds to minutes. If the model knows such noise already, it is not fitted,
    and a line says so; any option of the fit makes it fit anyway. Ctrl-C ends a
    fit and writes the best result so far.

    [bold]Examples[/bold]

      mdn zeroshot cells.tif
      mdn zeroshot cells.tif --iters 1000 --checkpoint cells.fit
      mdn zeroshot scan.png --preset fast --time-limit 10 -o clean.png
    """
    from mdn import zeroshot as command
    from mdn.batch.planning import Plan, plan
    from mdn.cli import batch, sources
    from mdn.commands.request import Request
    from mdn.engine import parse_size
    from mdn.pipeline.options import Options

    given, listed = sources.inputs(inputs, from_file, watch)
    from_checkpoint = resume and checkpoint is not None

    def planned() -> Plan:
        return plan(
            given,
            output,
            listed=listed,
            shard=sources.share(shard),
            format=format,
            recursive=recursive,
            overwrite=overwrite,
            skip_existing=skip_existing,
            resume=(resume and not from_checkpoint) or watch is not None,
            stores=True,
        )

    options = Options(
        strength=strength,
        seed=seed,
        precision=precision.value,
        max_memory=None if max_memory is None else parse_size(max_memory),
    )
    request = Request(
        model=model,
        quality=opt.chosen_quality(quality, model),
        device=device,
        options=options,
        jpeg_quality=jpeg_quality,
    )
    fit = command.FitRequest(
        fit=command.FitOptions(
            preset,
            iters,
            lr,
            mask_ratio,
            ema,
            pixel_shuffle,
            from_scratch,
            # Whoever speaks of the fit wants one.
            anyway=(lr, mask_ratio, ema, time_limit, checkpoint) != (None,) * 5,
        ),
        options=options,
        time_limit=time_limit,
        checkpoint=checkpoint,
        resume=from_checkpoint,
    )
    batch.run(
        batch.Batch(
            context,
            planned,
            lambda jobs, report: command.run(
                jobs, request, fit, report, fail_fast=fail_fast, dry_run=dry_run
            ),
            batch.weights(model, request.quality),
        )
    )
