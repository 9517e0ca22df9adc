"""What `mdn noise --estimate` prints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import typer

from mdn.cli.batch import check_stdin, document
from mdn.cli.options import Files
from mdn.cli.render import print_json, printable
from mdn.cli.views import BatchView
from mdn.commands import estimate
from mdn.errors import NothingDoneError
from mdn.io.base import pixel_limit
from mdn.jobs.planning import BatchPlan

BAR = 40  # characters of the longest bar
GAP = " " * 12  # of the names beside the values


def run(
    inputs: Sequence[str],
    listed: Sequence[str],
    plot: Path | None,
    files: Files,
    *,
    debug: bool,
) -> NoReturn:
    """Estimates the noise of the inputs, and of those on a list, prints it, and exits.

    Raises:
        UsageError: a figure that cannot be drawn.
        NothingDoneError: no image is left.
        typer.Exit: always, with the batch's exit code.
    """
    jobs, expansion = estimate.jobs_of(inputs, listed, files.recursive)
    check_stdin(job.source is None for job in jobs)
    how = {"quiet": files.quiet, "as_json": files.as_json, "debug": debug}
    with BatchView(len(jobs), **how, show=show) as view:
        for each in expansion.left_out:
            view.remark(str(each))
        if not jobs:
            raise NothingDoneError("there is nothing to do: no input is left")
        with pixel_limit(files.max_pixels):
            result = estimate.run(
                jobs, view, plot, overwrite=files.overwrite, fail_fast=files.fail_fast
            )
        view.summary(result)
        if plot is not None and plot.exists() and result.count("ok"):
            view.say(f"plot: {plot}")
    if files.as_json:
        notes = tuple(str(each) for each in expansion.left_out)
        plan = BatchPlan(tuple(jobs), notes, left_out=expansion.left_out)
        print_json(document("noise --estimate", plan, result, view.notes))
    raise typer.Exit(result.exit_code)


def show(name: str, found: Mapping[str, Any]) -> None:
    """One picture's estimate, on standard output."""
    typer.echo("\n".join(lines(name, found)))


def lines(name: str, found: Mapping[str, Any]) -> list[str]:
    """One picture's estimate as lines of text.

    Args:
        name: the picture's.
        found: the details that commands.estimate gives.
    """
    size = f"{found['width']}x{found['height']}, {found['dtype']}"
    level = f"sigma {found['level']:.3g} on the 0-255 scale"
    if len(found["sigma"]) > 1:
        each = ", ".join(f"{colour} {sigma:.3g}" for colour, sigma in found["sigma"].items())
        level += f" ({each})"
    if found["dtype"] != "uint8":
        black, white = found["range"]
        level += f"; {found['stored_level']:.4g} in the file's values ({black:.6g} to {white:.6g})"
    first, *rest = found["kind"]
    out = [f"{printable(name)}  {size}", f"  {'level':<10}{level}", f"  {'kind':<10}{first}"]
    out += [f"{GAP}{words}" for words in rest]
    return [*out, *_curve(found)]


def _curve(found: Mapping[str, Any]) -> list[str]:
    """Sigma against brightness as bars; nothing where no bin has flat places."""
    brightness, variance = found["brightness"], found["variance"]
    if not brightness:
        return []
    strongest = max(max(variance), 1e-12) ** 0.5
    out = ["  at brightness (0-255), sigma:"]
    for place, square in sorted(zip(brightness, variance, strict=True)):
        sigma = max(square, 0.0) ** 0.5
        bar = "#" * round(BAR * sigma / strongest)
        out.append(f"{255 * place:10.0f}  {255 * sigma:6.2f}  {bar}".rstrip())
    return out
