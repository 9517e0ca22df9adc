"""`mdn noise`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt
from mdn.errors import UsageError

ABOUT = "Noise"
LOOKING = "Looking at noise"


def noise(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUTS",
            show_default=False,
            help="Images, folders, quoted patterns, or - for standard input. With none, "
            "[bold]--type[/bold] explains that noise.",
        ),
    ] = None,
    output: opt.Output = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "-t",
            "--type",
            metavar="TYPE",
            rich_help_panel=ABOUT,
            show_default=False,
            autocompletion=opt.noise_names,
            help="A type that [bold]mdn noise --list[/bold] shows.",
        ),
    ] = None,
    level: Annotated[
        float | None,
        typer.Option(
            "-l",
            "--level",
            metavar="L",
            rich_help_panel=ABOUT,
            show_default=False,
            help="Strength, in the unit of the type. Each type has a default.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="S",
            rich_help_panel=ABOUT,
            help="Random seed. The same seed, file name and count give the same noise.",
        ),
    ] = 0,
    iso: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=ABOUT,
            show_default=False,
            help="With --type camera, the ISO setting: its --level by the usual name.",
        ),
    ] = None,
    count: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=ABOUT,
            help="Noisy versions of each picture, named _001, _002 ... or by {draw} in a template.",
        ),
    ] = 1,
    list_types: Annotated[
        bool,
        typer.Option("--list", metavar="", rich_help_panel=ABOUT, help="List the types of noise."),
    ] = False,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate",
            metavar="",
            rich_help_panel=LOOKING,
            help="Add nothing: measure how strong the noise of the inputs is, and of what kind.",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            rich_help_panel=LOOKING,
            show_default=False,
            help="With --estimate, draw noise variance against brightness.",
        ),
    ] = None,
    recursive: opt.Recursive = False,
    overwrite: opt.Overwrite = False,
    skip_existing: opt.SkipExisting = False,
    resume: opt.Resume = False,
    from_file: opt.FromFile = None,
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
    """Adds a known noise to images, to try a denoiser on; or estimates theirs.

    Without -o the result lies beside the input: photo.png becomes
    photo_gaussian25.png. Every file of a batch gets noise of its own, drawn
    from --seed and the file's name.

    [bold]Examples[/bold]

      mdn noise --type poisson
      mdn noise photo.png --type gaussian --level 25
      mdn noise photos -o noisy/ --type speckle --level 0.03 --seed 7 --count 3
      mdn noise --estimate photo.png --plot curve.png
    """
    from mdn.batch.planning import Plan, plan
    from mdn.cli import batch, explain, sources
    from mdn.commands import noise as task
    from mdn.noise import NOISES, get

    if list_types:
        explain.types(NOISES, as_json)
        return
    if estimate:
        if (
            kind is not None
            or level is not None
            or iso is not None
            or output is not None
            or count != 1
            or dry_run
        ):
            raise UsageError("--estimate adds no noise: leave out --type, --level, --count and -o")
        from mdn.cli import survey

        survey.run(
            inputs or [],
            plot,
            recursive=recursive,
            overwrite=overwrite,
            fail_fast=fail_fast,
            quiet=quiet,
            as_json=as_json,
            debug=opt.DEBUG_KEY in context.meta,
        )
    if plot is not None:
        raise UsageError("--plot draws what --estimate finds: add --estimate")
    if kind is None:
        raise UsageError("no --type: choose one that `mdn noise --list` shows")
    chosen = get(kind)
    if iso is not None:
        if level is not None or chosen.parameter != "iso":
            raise UsageError("--iso is the level of --type camera; for others use --level")
        level = float(iso)
    if not inputs and from_file is None:
        explain.one(chosen, as_json)
        return
    strength = chosen.default if level is None else level
    chosen.check(strength)
    given, listed = sources.inputs(inputs, from_file, None)

    def planned() -> Plan:
        return plan(
            given,
            output,
            listed=listed,
            shard=sources.share(shard),
            ending=f"_{kind}{strength:g}",
            format=format,
            recursive=recursive,
            draws=count,
            overwrite=overwrite,
            skip_existing=skip_existing,
            resume=resume,
        )

    settings = task.Settings(
        (), kind, strength, seed, jpeg_quality, fail_fast=fail_fast, dry_run=dry_run
    )
    batch.run(
        batch.Batch(
            context,
            planned,
            lambda jobs, report: task.run(replace(settings, jobs=jobs), report),
            models={},
        )
    )
