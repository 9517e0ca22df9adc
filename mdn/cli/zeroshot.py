"""`mdn zeroshot`."""

from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt
from mdn.cli.help import command, rules

Model = Annotated[
    str | None,
    rules(autocompletion=opt.model_names, show_default="photo; cells for counted light"),
]


@command
def zeroshot(
    context: typer.Context,
    inputs: list[str] | None = None,
    output: str | None = None,
    preset: str = "auto",
    iters: Annotated[int | None, rules(min=0)] = None,
    time_limit: Annotated[float | None, rules(min=0.0)] = None,
    checkpoint: Path | None = None,
    save_fit: Path | None = None,
    use_fit: Path | None = None,
    resume: bool = False,
    seed: opt.Natural = 0,
    model: Model = None,
    quality: opt.Quality = None,
    strength: opt.Strength = 1.0,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    max_memory: str | None = None,
    *,
    light: opt.Light,
    files: opt.Files,
) -> None:
    """Looks for noise that the model does not know, fits to it, then denoises.

    Stripes, raw mosaics, speckle, Rician noise, dither: what is found in one part
    of the image must hold in another. This takes a second or two. If nothing is
    found the result is that of mdn denoise, and a line says so. --iters fits layers
    of the model too. Ctrl-C ends that and writes the best result so far.
    """
    from mdn.cli import batch
    from mdn.commands.request import Request
    from mdn.engine.memory import parse_size
    from mdn.io import STORES, SUFFIXES
    from mdn.pipeline.options import Options
    from mdn.zeroshot import command
    from mdn.zeroshot.request import FitRequest

    from_checkpoint = resume and checkpoint is not None
    skips = resume and not from_checkpoint
    plans = batch.Plans(inputs, output, files, resume=skips, suffixes=SUFFIXES | STORES)
    options = Options(
        strength=strength,
        detector=light.detector(),
        seed=seed,
        precision=precision,
        max_memory=None if max_memory is None else parse_size(max_memory),
    )
    request = Request(
        model=model,
        quality=opt.chosen_quality(quality, model),
        device=device,
        options=options,
        jpeg_quality=files.lossy_quality,
        recode=files.jpeg_quality is not None,
    )
    fit = FitRequest(
        preset=preset,
        iters=iters,
        options=options,
        time_limit=time_limit,
        checkpoint=checkpoint,
        resume=from_checkpoint,
        save=save_fit,
        use=use_fit,
    )
    batch.run(
        batch.BatchRun(
            context,
            files,
            plans(),
            lambda jobs, report, **how: command.run(jobs, request, fit, report, **how),
            batch.weights(model, request.quality),
            resume,
        )
    )
