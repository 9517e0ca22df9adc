"""`mdn noise`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mdn.cli import options as opt
from mdn.cli import views
from mdn.cli.help import command, debugging, rules
from mdn.errors import NothingDoneError, UsageError

if TYPE_CHECKING:
    from mdn.noise import NoiseType

LONGEST_BAR = 40  # characters


@command
def noise(
    context: typer.Context,
    inputs: list[str] | None = None,
    output: str | None = None,
    kind: Annotated[str | None, rules(autocompletion=opt.noise_names)] = None,
    level: float | None = None,
    seed: opt.Natural = 0,
    iso: int | None = None,
    peak: float | None = None,
    # All are planned before the first is written.
    count: Annotated[int, rules(min=1, max=1_000_000)] = 1,
    list_types: bool = False,
    estimate: bool = False,
    resume: bool = False,
    *,
    light: opt.Light,
    files: opt.Files,
) -> None:
    """Adds a known noise to images, to try a denoiser on; or estimates theirs.

    Without -o the result lies beside the input: photo.png becomes
    photo_gaussian25.png. Every file of a batch gets noise of its own, drawn
    from --seed and the file's name.
    """
    from mdn.cli import batch
    from mdn.commands import noise as task
    from mdn.noise import NOISES, get

    if list_types:
        _list(NOISES, files.as_json)
        return
    if estimate:
        if (kind, level, iso, peak, output) != (None,) * 5 or count != 1 or files.dry_run:
            raise UsageError("--estimate adds no noise: leave out --type, --level, --count and -o")
        if files.shard or files.dask:
            raise UsageError("--estimate makes one table of all: leave out --shard and --dask")
        if (light.gain, light.read_noise) != (None, None):
            raise UsageError("--estimate measures gain and read noise: leave both out")
        named = batch.inputs(inputs, files.from_file)
        _estimate(*named, light.offset, files, debugging(context))
    detector = light.detector()
    if kind is None:
        raise UsageError("no --type: choose one that `mdn noise --list` shows")
    chosen = get(kind)
    if detector is not None and (kind != task.COUNTED or level is not None):
        raise UsageError(
            f"--gain: counts are drawn as a detector counts them with --type {task.COUNTED},"
            " and no --level"
        )
    if iso is not None:
        if level is not None or chosen.parameter != "iso":
            raise UsageError("--iso is the level of --type camera; for others use --level")
        level = float(iso)
    if not inputs and files.from_file is None:
        _explain(chosen, files.as_json)
        return
    strength = chosen.default if level is None else level
    chosen.check(strength)
    chosen.check_peak(peak)
    ending = f"_{kind}" if detector is not None else f"_{kind}{strength:g}"
    plans = batch.Plans(inputs, output, files, resume=resume, ending=ending, draws=count)
    settings = task.NoiseRequest(
        kind, strength, seed, files.lossy_quality, peak=peak, detector=detector
    )
    batch.run(
        context,
        files,
        plans(),
        lambda jobs, report, **how: task.run(jobs, settings, report, **how),
        resume=resume,
    )


def _list(noises: Sequence[NoiseType], as_json: bool) -> None:
    """A table of all types of noise."""
    if as_json:
        views.print_json([_facts(noise) for noise in noises])
        return
    rows = [
        (noise.name, noise.parameter, _numbers(noise), f"{noise.default:g}", noise.title)
        for noise in noises
    ]
    views.print_table(("TYPE", "LEVEL IS", "PUBLISHED", "DEFAULT", "WHAT"), rows)


def _explain(noise: NoiseType, as_json: bool) -> None:
    """What one noise is, its levels, and how to add it."""
    if as_json:
        views.print_json(_facts(noise))
        return
    typer.echo(f"{noise.title}\n\n{textwrap.fill(noise.explanation, 80)}\n")
    views.print_facts(
        [
            ("level", f"{noise.parameter}, {noise.unit}"),
            ("published", _numbers(noise)),
            ("default", f"{noise.default:g}"),
            ("limits", "{:g} to {:g}".format(*noise.limits)),
            ("peak", noise.own_peak and "--peak N: photons of white; else by distinct values"),
            ("example", noise.example),
        ]
    )


def _numbers(noise: NoiseType) -> str:
    return " ".join(f"{level:g}" for level in noise.levels)


def _facts(noise: NoiseType) -> dict[str, object]:
    """All but the functions."""
    functions = ("function", "pair", "own_peak", "suite")
    facts = {f.name: getattr(noise, f.name) for f in fields(noise) if f.name not in functions}
    return facts | {"takes_peak": bool(noise.own_peak)}


# --- what --estimate prints --------------------------------------------------------------------


def _estimate(
    inputs: Sequence[str],
    listed: Sequence[str],
    offset: float | None,
    files: opt.Files,
    debug: bool,
) -> NoReturn:
    """Estimates the noise of the inputs, and of those on a list, prints it, and exits.

    Raises NothingDoneError: no image is left; typer.Exit: always, with the batch's exit code.
    """
    from mdn.cli import batch
    from mdn.commands import estimate
    from mdn.io.base import pixel_limit
    from mdn.jobs.planning import BatchPlan

    jobs, expansion = estimate.jobs_of(inputs, listed, files.recursive)
    batch.check_stdin(job.source is None for job in jobs)
    how = {"quiet": files.quiet, "as_json": files.as_json, "debug": debug}
    notes = tuple(map(str, expansion.left_out))
    with views.BatchView(len(jobs), **how, show=_show) as view:
        for line in notes:
            view.remark(line)
        if not jobs:
            raise NothingDoneError("there is nothing to do: no input is left")
        with pixel_limit(files.max_pixels):
            result, series = estimate.run(
                jobs,
                view,
                offset=offset,
                fail_fast=files.fail_fast,
            )
        if series is not None:
            view.say(f"all together: {series.in_words()}")
        view.summary(result)
    if files.as_json:
        plan = BatchPlan(tuple(jobs), notes, left_out=expansion.left_out)
        document = batch.document("noise --estimate", plan, result, view.notes)
        whole = {} if series is None else {"detector": series.facts()}
        views.print_json(document | whole)
    raise typer.Exit(result.exit_code)


def _show(name: str, facts: Mapping[str, Any]) -> None:
    """Prints the estimate of one picture: `facts` as commands.estimate gives them."""
    level = f"sigma {facts['level']:.3g} on the 0-255 scale"
    if len(facts["sigma"]) > 1:
        sigmas = (f"{colour} {sigma:.3g}" for colour, sigma in facts["sigma"].items())
        level += f" ({', '.join(sigmas)})"
    if facts["dtype"] != "uint8":
        black, white = facts["range"]
        level += f"; {facts['stored_level']:.4g} in the file's values ({black:.6g} to {white:.6g})"
    first, *rest = facts["kind"]
    size = f"{facts['width']}x{facts['height']}, {facts['dtype']}"
    lines = [f"{views.printable(name)}  {size}", f"  {'level':<10}{level}"]
    lines += [f"  {'kind':<10}{first}", *(f"{'':12}{words}" for words in rest)]
    for numbers in facts["detector"].values():
        three = "--gain {gain:.4g} --offset {offset:.5g} --read-noise {read_noise:.4g}"
        lines.append(f"  {'detector':<10}{three.format(**numbers)} ({numbers['source']})")
    typer.echo("\n".join([*lines, *_curve(facts["brightness"], facts["variance"])]))


def _curve(brightness: Sequence[float], variance: Sequence[float]) -> list[str]:
    """Sigma against brightness as bars; nothing where no bin has flat places. Both on 0..1."""
    if not brightness:
        return []
    lines = ["  at brightness (0-255), sigma:"]
    strongest = max(max(variance), 1e-12) ** 0.5
    for level, square in sorted(zip(brightness, variance, strict=True)):
        sigma = max(square, 0.0) ** 0.5
        bar = "#" * round(LONGEST_BAR * sigma / strongest)
        lines.append(f"{255 * level:10.0f}  {255 * sigma:6.2f}  {bar}".rstrip())
    return lines
