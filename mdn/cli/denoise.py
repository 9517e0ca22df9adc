"""`mdn denoise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mdn.cli import exr_options as exr
from mdn.cli import options as opt
from mdn.errors import UsageError


def denoise(
    context: typer.Context,
    inputs: opt.Inputs = None,
    output: opt.Output = None,
    model: Annotated[
        str | None,
        opt.model("A name that [bold]mdn models list[/bold] shows, or a model's folder."),
    ] = None,
    quality: opt.Quality = None,
    strength: opt.Strength = 1.0,
    luma: Annotated[
        float, opt.share("How much of the noise in brightness to remove. Multiplies --strength.")
    ] = 1.0,
    chroma: Annotated[
        float, opt.share("How much of the noise in colour to remove. Multiplies --strength.")
    ] = 1.0,
    protect: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=opt.WORK,
            show_default=False,
            help="A picture of the same size: where it is white, the original stays.",
        ),
    ] = None,
    detail: Annotated[
        float, opt.share("Share of the fine, colourless grain to give back, 0 to 1.")
    ] = 0.0,
    sigma: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=255.0,
            metavar="S",
            rich_help_panel=opt.WORK,
            show_default=False,
            help="Noise strength, if you know it (0-255). Estimated otherwise.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            rich_help_panel=opt.WORK,
            help="Random seed, for models that draw masks.",
        ),
    ] = 0,
    passes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=opt.WORK,
            show_default="1",
            help="Number of results to average: of the picture flipped and rotated (8 at most), "
            "or with other masks for models that draw masks. Better, and as many times slower.",
        ),
    ] = None,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            metavar="",
            rich_help_panel=opt.FILES,
            help="Only write photo_preview.png: a few crops, before and after at three strengths.",
        ),
    ] = False,
    save_std: Annotated[
        str | None,
        typer.Option(
            "--save-std",
            metavar="FILE",
            rich_help_panel=opt.FILES,
            show_default=False,
            help="Also write how much the passes differ at each pixel. A .tif holds numbers in "
            "the picture's own unit, other formats a picture to look at. For several inputs, name"
            " a folder or a template.",
        ),
    ] = None,
    device: opt.Device = "auto",
    precision: opt.PrecisionOption = opt.Precision.auto,
    max_memory: opt.MaxMemory = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=opt.WORK,
            show_default=False,
            help="Largest side of a tile in pixels; chosen by the memory otherwise.",
        ),
    ] = None,
    encoding: opt.Encoding = opt.EncodingName.auto,
    axes: opt.Axes = None,
    channels: opt.Channels = None,
    z: opt.ZPlanes = None,
    t: opt.TPlanes = None,
    layer: exr.Layer = None,
    keep: exr.Keep = None,
    keep_sums: exr.KeepSums = False,
    albedo: exr.Albedo = "auto",
    normal: exr.Normal = "auto",
    clamp_fireflies: exr.ClampFireflies = None,
    tonemap: exr.TonemapOption = exr.Tonemap.hdr,
    frames: exr.Frames = None,
    motion: exr.Motion = False,
    explain: exr.Explain = False,
    recursive: opt.Recursive = False,
    overwrite: opt.Overwrite = False,
    skip_existing: opt.SkipExisting = False,
    resume: opt.Resume = False,
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
    """Removes the noise from images; size, depth, alpha and metadata stay.

    Without -o the result lies beside the input: photo.png becomes
    photo_denoised.png. The input is never touched.

    [bold]Examples[/bold]

      mdn denoise photo.png
      mdn denoise *.jpg -o clean/
      mdn denoise scans -r -o clean/ --resume
      mdn denoise photo.png --quality best
      mdn denoise photo.png --luma 0.6 --protect mask.png
      mdn denoise photo.png --preview
      mdn denoise 'raw/**/*.tif' -o '{parent}/{stem}_clean{suffix}'
      mdn denoise - < noisy.png > clean.png
      mdn denoise shot.####.exr --frames 1-240 -o clean.####.exr
      mdn denoise photo.png --passes 8 --save-std doubt.tif
    """
    from mdn.batch.planning import Plan, plan
    from mdn.cli import batch, sources
    from mdn.commands import denoise as command
    from mdn.commands.request import Request
    from mdn.compare import preview as previews
    from mdn.engine import parse_size
    from mdn.pipeline.options import Options
    from mdn.renders import RenderOptions
    from mdn.renders.planning import plan_shot
    from mdn.stacks.planes import PlaneSelection

    share = sources.share(shard)
    if motion and (share or resume):
        raise UsageError("--motion: a frame needs the one before; leave --shard and --resume out")
    if preview and (save_std or protect or frames or format or resume or watch):
        others = "--save-std, --protect, --frames, --format, --resume and --watch"
        raise UsageError(f"--preview writes one PNG for each picture: leave out {others}")
    named: dict[str, Any] = {
        "format": format,
        "overwrite": overwrite,
        "skip_existing": skip_existing,
        "resume": resume or watch is not None,
        "shard": share,
        "renders": True,
        "stores": True,
    }
    given, listed = sources.inputs(inputs, from_file, watch)
    shot = plan_shot(given, output, frames, **named)
    if shot and save_std is not None:
        raise UsageError("--save-std: not for renders, whose frames have layers of their own")
    if preview:
        named |= {"format": "png", "ending": "_preview"}

    def planned() -> Plan:
        return shot or plan(
            given, output, listed=listed, recursive=recursive, std_target=save_std, **named
        )

    request = Request(
        model=model,
        quality=opt.chosen_quality(quality, model),
        device=device,
        passes=passes,
        options=Options(
            strength=strength,
            luma=luma,
            chroma=chroma,
            detail=detail,
            sigma=None if sigma is None else sigma / 255,
            seed=seed,
            precision=precision.value,
            max_memory=None if max_memory is None else parse_size(max_memory),
            tile=tile,
        ),
        protect=protect,
        jpeg_quality=jpeg_quality,
        encoding=encoding.value,
        planes=PlaneSelection(axes, channels, z, t),
        renders=RenderOptions(
            layers=exr.names(layer),
            keep=exr.names(keep),
            keep_sums=keep_sums,
            clamp_fireflies=clamp_fireflies,
            tonemap=tonemap.value,
            albedo=albedo,
            normal=normal,
            motion=motion,
            explain=explain,
            shot=shot is not None,
        ),
    )
    run = previews.run if preview else command.run
    batch.run(
        batch.Batch(
            context,
            planned,
            lambda jobs, report: run(jobs, request, report, fail_fast=fail_fast, dry_run=dry_run),
            batch.weights(model, request.quality),
        )
    )
