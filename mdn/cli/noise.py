"""`mdn noise`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdn.cli import options as opt
from mdn.cli import render
from mdn.errors import UsageError

if TYPE_CHECKING:
    from mdn.noise import NoiseType


@opt.command
def noise(
    context: typer.Context,
    inputs: list[str] | None = None,
    output: str | None = None,
    kind: Annotated[str | None, opt.rules(autocompletion=opt.noise_names)] = None,
    level: float | None = None,
    seed: opt.Natural = 0,
    iso: int | None = None,
    # All are planned before the first is written.
    count: Annotated[int, opt.rules(min=1, max=1_000_000)] = 1,
    list_types: bool = False,
    estimate: bool = False,
    plot: Path | None = None,
    resume: bool = False,
    *,
    files: opt.Files,
) -> None:
    """Adds a known noise to images, to try a denoiser on; or estimates theirs.

    Without -o the result lies beside the input: photo.png becomes
    photo_gaussian25.png. Every file of a batch gets noise of its own, drawn
    from --seed and the file's name.
    """
    from mdn.cli import batch, sources
    from mdn.commands import noise as task
    from mdn.noise import NOISES, get

    if list_types:
        _list(NOISES, files.as_json)
        return
    if estimate:
        if (kind, level, iso, output) != (None,) * 4 or count != 1 or files.dry_run:
            raise UsageError("--estimate adds no noise: leave out --type, --level, --count and -o")
        if files.shard or files.dask:
            raise UsageError("--estimate makes one table of all: leave out --shard and --dask")
        from mdn.cli import survey

        named = sources.inputs(inputs, files.from_file)
        survey.run(*named, plot, files, debug=opt.debugging(context))
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
        _explain(chosen, files.as_json)
        return
    strength = chosen.default if level is None else level
    chosen.check(strength)
    ending = f"_{kind}{strength:g}"
    plans = sources.Plans(inputs, output, files, resume=resume, ending=ending, draws=count)
    settings = task.Settings(kind, strength, seed, files.lossy_quality)
    batch.run(
        batch.Batch(
            context,
            files,
            plans(),
            lambda jobs, report, **how: task.run(jobs, settings, report, **how),
            resume=resume,
        )
    )


def _list(noises: Sequence[NoiseType], as_json: bool) -> None:
    """A table of all types of noise."""
    if as_json:
        render.print_json([_facts(noise) for noise in noises])
        return
    rows = [
        (noise.name, noise.parameter, _numbers(noise), f"{noise.default:g}", noise.title)
        for noise in noises
    ]
    render.print_table(("TYPE", "LEVEL IS", "PUBLISHED", "DEFAULT", "WHAT"), rows)


def _explain(noise: NoiseType, as_json: bool) -> None:
    """What one noise is, its levels, and how to add it."""
    if as_json:
        render.print_json(_facts(noise))
        return
    typer.echo(f"{noise.title}\n\n{textwrap.fill(noise.explanation, 80)}\n")
    render.print_facts(
        [
            ("level", f"{noise.parameter}, {noise.unit}"),
            ("published", _numbers(noise)),
            ("default", f"{noise.default:g}"),
            ("limits", "{:g} to {:g}".format(*noise.limits)),
            ("example", noise.example),
        ]
    )


def _numbers(noise: NoiseType) -> str:
    return " ".join(f"{level:g}" for level in noise.levels)


def _facts(noise: NoiseType) -> dict[str, object]:
    """All but the functions."""
    functions = ("function", "pair", "suite")
    return {f.name: getattr(noise, f.name) for f in fields(noise) if f.name not in functions}
