"""`mdn noise`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mdn.cli import options as opt
from mdn.errors import UsageError

about = partial(opt.option, rich_help_panel="Noise")
looking = partial(opt.option, rich_help_panel="Looking at noise")


@opt.command
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
        about(
            "A type that [bold]mdn noise --list[/bold] shows.",
            "-t --type",
            "TYPE",
            autocompletion=opt.noise_names,
        ),
    ] = None,
    level: Annotated[
        float | None,
        about("Strength, in the unit of the type. Each type has a default.", "-l --level", "L"),
    ] = None,
    seed: Annotated[
        int,
        about(
            "Random seed. The same seed, file name and count give the same noise.",
            metavar="S",
            min=0,
        ),
    ] = 0,
    iso: Annotated[
        int | None,
        about("With --type camera, the ISO setting: its --level by the usual name.", metavar="N"),
    ] = None,
    count: Annotated[
        int,
        about(
            "Noisy versions of each picture, named _001, _002 ... or by {draw} in a template.",
            metavar="N",
            min=1,
            max=1_000_000,  # all are planned before the first is written
        ),
    ] = 1,
    list_types: Annotated[bool, about("List the types of noise.", "--list")] = False,
    estimate: Annotated[
        bool,
        looking(
            "Add nothing: measure how strong the noise of the inputs is, and of what kind.",
            "--estimate",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        looking("With --estimate, draw noise variance against brightness.", metavar="FILE.png"),
    ] = None,
    resume: opt.Resume = False,
    *,
    files: opt.Files,
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
    from mdn.cli import batch, explain, sources
    from mdn.commands import noise as task
    from mdn.noise import NOISES, get

    if list_types:
        explain.types(NOISES, files.as_json)
        return
    if estimate:
        if (kind, level, iso, output) != (None,) * 4 or count != 1 or files.dry_run:
            raise UsageError("--estimate adds no noise: leave out --type, --level, --count and -o")
        if files.shard or files.dask:
            raise UsageError("--estimate: is one table of all inputs; leave --shard and --dask out")
        from mdn.cli import survey

        survey.run(inputs or [], plot, files, debug=opt.debugging(context))
    if plot is not None:
        raise UsageError("--plot draws what --estimate finds: add --estimate")
    if kind is None:
        raise UsageError("no --type: choose one that `mdn noise --list` shows")
    chosen = get(kind)
    if iso is not None:
        if level is not None or chosen.parameter != "iso":
            raise UsageError("--iso is the level of --type camera; for others use --level")
        level = float(iso)
    if not inputs and files.from_file is None:
        explain.one(chosen, files.as_json)
        return
    strength = chosen.default if level is None else level
    chosen.check(strength)
    ending = f"_{kind}{strength:g}"
    plans = sources.Plans(inputs, output, files, resume=resume, ending=ending, draws=count)
    settings = task.Settings(kind, strength, seed, files.jpeg_quality)
    batch.run(
        batch.Batch(
            context,
            files,
            plans,
            lambda jobs, report, **how: task.run(jobs, settings, report, **how),
            resume=resume,
        )
    )
