"""`mdn zeroshot`."""

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
            "auto describes the noise to the model. mpi: MPI's own net and schedule;"
            " takes long. mpi-real: the same for blotchy noise. mpi-fast: fewer steps.",
            metavar="NAME",
        ),
    ] = "auto",
    iters: Annotated[
        int | None,
        fit_option("Fit layers of the model too, in so many steps at most.", metavar="N", min=0),
    ] = None,
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
        fit_option(
            "Fit layers of the model too, for so many seconds at most.", metavar="SECONDS", min=0.0
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        fit_option("Keep the fit of layers in this file while it runs.", metavar="FILE"),
    ] = None,
    save_fit: Annotated[
        Path | None,
        fit_option(
            "Save what was fitted in this file, for other images of the same kind.",
            "--save-fit",
            metavar="FILE",
        ),
    ] = None,
    use_fit: Annotated[
        Path | None,
        fit_option("Use the fit in this file, made by --save-fit.", "--fit", metavar="FILE"),
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
    """Looks for noise that the model does not know, fits to it, then denoises.

    Stripes, blotches, raw mosaics, speckle, Rician noise, dither, coarse clouds of
    colour: what is found in one part of the image must hold in another. This takes
    a second or two. Gray images are read as counts where that is better. If
    nothing is found the result is that of mdn denoise, and a line says so.
    --iters fits layers of the model too. Ctrl-C ends that and writes the best
    result so far.

    [bold]Examples[/bold]

      mdn zeroshot cells.tif
      mdn zeroshot one.png --save-fit radar.fit; mdn zeroshot radar/ --fit radar.fit
      mdn zeroshot cells.tif --iters 1000 --checkpoint cells.state
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
            # Options of the fit of layers ask for one.
            layers=(lr, mask_ratio, ema, time_limit, checkpoint) != (None,) * 5,
        ),
        options=options,
        time_limit=time_limit,
        checkpoint=checkpoint,
        resume=from_checkpoint,
        save=save_fit,
        use=use_fit,
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
