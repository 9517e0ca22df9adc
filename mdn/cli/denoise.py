"""`mdn denoise` and `mdn zeroshot`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdn.cli import options as opt
from mdn.cli.help import command, rules
from mdn.errors import UsageError

if TYPE_CHECKING:
    from mdn.commands.request import Request

DisplayModel = Annotated[
    str | None,
    rules(autocompletion=opt.model_names, show_default="photo; cells for counted light"),
]


@command
def denoise(
    context: typer.Context,
    inputs: list[str] | None = None,
    output: str | None = None,
    model: opt.Model = None,
    quality: opt.Quality = None,
    strength: opt.Strength = 1.0,
    luma: opt.Share = 1.0,
    chroma: opt.Share = 1.0,
    protect: Path | None = None,
    detail: opt.Share = 0.0,
    sigma: Annotated[float | None, rules(min=0.0, max=255.0)] = None,
    seed: opt.Natural = 0,
    passes: Annotated[int | None, rules(min=1, show_default="1")] = None,
    preview: bool = False,
    save_std: str | None = None,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    max_memory: str | None = None,
    tile: opt.Limit = None,
    *,
    stacks: opt.Stacks,
    light: opt.Light,
    renders: opt.Renders,
    resume: bool = False,
    files: opt.Files,
) -> None:
    """Removes the noise from images; size, depth, alpha and metadata stay.

    Without -o the result lies beside the input: photo.png becomes
    photo_denoised.png. The input is never touched.
    """
    from mdn.cli import batch
    from mdn.io import RENDERS, STORES, SUFFIXES
    from mdn.renders.sequence import plan_sequence
    from mdn.stacks.planes import PlaneSelection

    if preview and (save_std or protect or renders.frames or files.format or resume):
        others = "--save-std, --protect, --frames, --format and --resume"
        raise UsageError(f"--preview writes one PNG for each picture: leave out {others}")
    if renders.view != "srgb" and not preview:
        raise UsageError(f"--view {renders.view} is of a --preview; add it or leave --view out")
    plans = batch.Plans(inputs, output, files, resume=resume, suffixes=SUFFIXES | RENDERS | STORES)
    sequence = plan_sequence(
        plans.inputs, output, renders.frames, motion=renders.motion, **plans.options
    )
    if sequence and preview:
        raise UsageError("--preview is of single pictures: name one frame, such as a.0001.exr")
    if sequence and files.from_file is not None:
        raise UsageError("--from-file: a pattern of frames stands alone; leave one of them out")
    if sequence and save_std is not None:
        raise UsageError("--save-std: not for renders, whose frames have layers of their own")
    form = {"format": "png", "ending": "_preview"} if preview else {"std_target": save_std}
    request = _request(
        model,
        quality,
        device,
        max_memory,
        light,
        files,
        {
            "strength": strength,
            "luma": luma,
            "chroma": chroma,
            "detail": detail,
            "sigma": None if sigma is None else sigma / 255,
            "seed": seed,
            "precision": precision,
            "tile": tile,
        },
        passes=passes,
        protect=protect,
        encoding=stacks.encoding,
        planes=PlaneSelection(stacks.axes, stacks.channels, stacks.z, stacks.t),
        neighbours=stacks.neighbours,
        renders=renders.request(sequence=sequence is not None),
    )
    if preview:
        from mdn.compare.preview import run
    else:
        from mdn.commands.denoise import run
    batch.run(
        context,
        files,
        sequence or plans(**form),
        lambda jobs, report, **how: run(jobs, request, report, **how),
        batch.weights(model, request.quality),
        resume=resume,
        in_blocks=not preview,
    )


def _request(
    model: str | None,
    quality: str | None,
    device: str,
    max_memory: str | None,
    light: opt.Light,
    files: opt.Files,
    options: dict[str, Any],
    **more: Any,
) -> Request:
    """What both commands ask for. options: of `pipeline.options.Options`. more: of the request."""
    from mdn.commands.request import Request
    from mdn.engine.memory import parse_size
    from mdn.pipeline.options import Options

    options["max_memory"] = None if max_memory is None else parse_size(max_memory)
    return Request(
        model=model,
        quality=opt.chosen_quality(quality, model),
        device=device,
        options=Options(detector=light.detector(), **options),
        jpeg_quality=files.lossy_quality,
        recode=files.jpeg_quality is not None,
        **more,
    )


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
    model: DisplayModel = None,
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
    from mdn.io import STORES, SUFFIXES
    from mdn.zeroshot import command as task
    from mdn.zeroshot.request import FitRequest

    from_checkpoint = resume and checkpoint is not None
    skips = resume and not from_checkpoint
    plans = batch.Plans(inputs, output, files, resume=skips, suffixes=SUFFIXES | STORES)
    same = {"strength": strength, "seed": seed, "precision": precision}
    request = _request(model, quality, device, max_memory, light, files, same)
    fit = FitRequest(
        preset=preset,
        iters=iters,
        options=request.options,
        time_limit=time_limit,
        checkpoint=checkpoint,
        resume=from_checkpoint,
        save=save_fit,
        use=use_fit,
    )
    batch.run(
        context,
        files,
        plans(),
        lambda jobs, report, **how: task.run(jobs, request, fit, report, **how),
        batch.weights(model, request.quality),
        resume=resume,
    )
