"""`mdn zeroshot`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt

fit_option = partial(opt.option, rich_help_panel="The fit")


@opt.command
def zeroshot(
    context: typer.Context,
    inputs: opt.Inputs = None,
    output: opt.Output = None,
    preset: Annotated[
        str,
        fit_option(
            "auto measures the noise and chooses. fast: fewer steps. synthetic: for noise that"
            " differs from pixel to pixel; takes long. real: for blotchy noise; takes long.",
            metavar="NAME",
        ),
    ] = "auto",
    iters: Annotated[int | None, fit_option("Largest number of steps.", metavar="N", min=0)] = None,
    lr: Annotated[float | None, fit_option("Peak learning rate.", metavar="RATE")] = None,
    mask_ratio: Annotated[
        float | None,
        fit_option("Share of the samples that are hidden in each step.", metavar="SHARE"),
    ] = None,
    ema: Annotated[
        float | None, fit_option("Decay of the averaged weights.", metavar="DECAY")
    ] = None,
    pixel_shuffle: Annotated[
        int | None,
        fit_option(
            "Split the picture into N x N smaller ones: for blotchy noise.",
            metavar="N",
            min=1,
            max=4,
        ),
    ] = None,
    from_scratch: Annotated[
        bool, fit_option("Start with random weights.", "--from-scratch")
    ] = False,
    time_limit: Annotated[
        float | None,
        fit_option("Most seconds to spend on the fit of one picture.", metavar="SECONDS", min=0.0),
    ] = None,
    checkpoint: Annotated[
        Path | None, fit_option("Save the fit in this file.", metavar="FILE")
    ] = None,
    resume: Annotated[
        bool,
        fit_option(
            "Continue from the checkpoint; without one, skip what an earlier run did with the same"
            " input, options and weights.",
            "--resume",
        ),
    ] = False,
    seed: Annotated[int, fit_option("Random seed.", metavar="N", min=0)] = 0,
    model: Annotated[str | None, opt.model("The model to start from.")] = None,
    quality: opt.Quality = None,
    strength: opt.Strength = 1.0,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    max_memory: opt.MaxMemory = None,
    watch: opt.Watch = None,
    *,
    files: opt.Files,
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
    from mdn.cli import batch, sources
    from mdn.commands.request import Request
    from mdn.engine import parse_size
    from mdn.pipeline.options import Options

    from_checkpoint = resume and checkpoint is not None
    skips = resume and not from_checkpoint
    plans = sources.Plans(inputs, output, files, watch, resume=skips, stores=True)
    options = Options(
        strength=strength,
        seed=seed,
        precision=precision,
        max_memory=None if max_memory is None else parse_size(max_memory),
    )
    request = Request(
        model=model,
        quality=opt.chosen_quality(quality, model),
        device=device,
        options=options,
        jpeg_quality=files.jpeg_quality,
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
            files,
            plans,
            lambda jobs, report, **how: command.run(jobs, request, fit, report, **how),
            batch.weights(model, request.quality),
            watch,
            resume,
        )
    )
