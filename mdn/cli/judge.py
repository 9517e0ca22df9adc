"""`mdn bench photo.png` and `mdn bench --check-ranking`: rankings without clean pictures."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from mdn.cli.render import print_json, print_table, printable
from mdn.cli.views import BatchView
from mdn.errors import UsageError

if TYPE_CHECKING:
    from mdn.batch.running import Outcome
    from mdn.bench.no_reference.ranking import Settings

TITLES = ("RANK", "MODEL", "SCORE dB", "SURE dB", "MASKED dB", "RESIDUAL", "CORRELATION", "SECONDS")
HITS = ("SCORE", "PICTURES", "BEST IS BEST", "PAIRS RIGHT", "LOST dB")


class JudgeView(BatchView):
    """Bars as every batch has, and a table for each picture that is done."""

    def __init__(self, total: int, *, quiet: bool, as_json: bool, debug: bool) -> None:
        super().__init__(total, quiet=quiet, debug=debug)
        self.as_json = as_json

    def _tell(self, outcome: Outcome) -> None:
        if outcome.status != "ok":
            super()._tell(outcome)
        elif not self.as_json:
            show(outcome.job.name, outcome.details)


def run(
    data: tuple[str, ...],
    inputs: tuple[str, ...],
    models: tuple[str, ...],
    *,
    noise: str,
    limit: int | None,
    seed: int,
    root: Path | None,
    device: str,
    precision: str,
    threads: int | None,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> NoReturn:
    """Ranks the models on the inputs, or checks the ranking on data; prints it, and exits.

    Raises:
        UsageError: neither inputs nor data; an unknown name.
        typer.Exit: always, with the exit code.
    """
    import torch

    from mdn.bench.no_reference import ranking

    if not data and not inputs:
        raise UsageError("--check-ranking needs clean pictures: --data DIR")
    if "-" in inputs and sys.stdin.isatty():
        raise UsageError("- reads an image from standard input, which is the terminal: pipe one in")
    if threads is not None:
        torch.set_num_threads(threads)
    settings = ranking.Settings(
        inputs, models, seed, device, precision, data=data, noise=noise, limit=limit, root=root
    )
    if data:
        _check(settings, quiet=quiet, as_json=as_json)
    with JudgeView(len(inputs), quiet=quiet, as_json=as_json, debug=debug) as view:
        document, code = ranking.run(settings, view)
        for name, why in document["missing"].items():
            view.say(f"mdn: note: {name}: {why}", "yellow")
    if as_json:
        print_json(document | {"exit_code": code})
    raise typer.Exit(code)


def show(name: str, details: Mapping[str, Any]) -> None:
    """One picture's ranking, best first."""
    seen, (width, height) = details["noise"], details["judged"]
    sigma = (sum(value**2 for value in seen["sigma"]) / len(seen["sigma"])) ** 0.5
    kinds = ["signal-dependent" if seen["signal_dependent"] else "additive"]
    kinds.append("correlated" if seen["correlated"] else "white")
    kinds += ["impulsive"] if seen["impulsive"] else []
    typer.echo(
        f"{printable(name)}  middle {width}x{height}; noise: sigma {sigma:.3g}, {', '.join(kinds)}"
    )
    rows = [
        (
            "-" if each["score"] is None else str(rank),
            each["name"],
            _number(each["score"], 2),
            _number(each["sure"], 2),
            _number(each["masked"], 2),
            _number(each["taken"], 2),
            _number(each["whiteness"], 3),
            _number(each["seconds"], 2),
        )
        for rank, each in enumerate(details["ranking"], 1)
    ]
    print_table(TITLES, rows, right=(TITLES[0], *TITLES[2:]))
    typer.echo(f"  {printable(details['verdict'])}")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _check(settings: Settings, *, quiet: bool, as_json: bool) -> NoReturn:
    from mdn.bench.no_reference import ranking

    tell = lambda line: None if quiet else typer.echo(printable(line), err=True)  # noqa: E731
    document = ranking.check(settings, tell)
    for name, why in document["missing"].items():
        tell(f"mdn: note: {name}: {why}")
    if as_json:
        print_json(document)
    else:
        rows = [
            (
                score,
                str(hits["pictures"]),
                f"{100 * hits['best']:.0f} %",
                f"{100 * hits['pairs']:.0f} %",
                f"{hits['regret']:.2f}",
            )
            for score, hits in document["hits"].items()
        ]
        print_table(HITS, rows, right=HITS[1:])
    raise typer.Exit(4 if not document["hits"] else 3 if document["failures"] else 0)
