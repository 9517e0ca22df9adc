"""`mdn bench photo.png` and `mdn bench --check-ranking`: rankings without clean pictures."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import typer

from mdn.bench import Settings
from mdn.bench.no_reference import ranking
from mdn.cli.batch import check_stdin
from mdn.cli.render import Lines, print_json, print_table, printable
from mdn.cli.views import BatchView
from mdn.errors import UsageError

TITLES = ("RANK", "MODEL", "SCORE dB", "SURE dB", "MASKED dB", "RESIDUAL", "CORRELATION", "SECONDS")
HITS = ("SCORE", "PICTURES", "BEST IS BEST", "PAIRS RIGHT", "LOST dB")


def run(
    inputs: Sequence[str], settings: Settings, *, quiet: bool, as_json: bool, debug: bool
) -> NoReturn:
    """Ranks the models on the inputs, or checks the ranking on data; prints it, and exits.

    Raises:
        UsageError: neither inputs nor data; an unknown name.
        typer.Exit: always, with the exit code.
    """
    if settings.data:
        _check(settings, quiet=quiet, as_json=as_json)
    if not inputs:
        raise UsageError("--check-ranking needs clean pictures: --data DIR")
    check_stdin(each == "-" for each in inputs)
    with BatchView(len(inputs), quiet=quiet, as_json=as_json, debug=debug, show=show) as view:
        document, code = ranking.run(inputs, settings, view)
        for name, why in document["missing"].items():
            view.say(f"mdn: note: {name}: {why}", "yellow")
    if as_json:
        print_json(document | {"exit_code": code})
    raise typer.Exit(code)


def show(name: str, details: Mapping[str, Any]) -> None:
    """One picture's ranking, best first."""
    noise, (width, height) = details["noise"], details["judged"]
    sigma = (sum(value**2 for value in noise["sigma"]) / len(noise["sigma"])) ** 0.5
    kinds = ["signal-dependent" if noise["signal_dependent"] else "additive"]
    kinds.append("correlated" if noise["correlated"] else "white")
    kinds += ["impulsive"] if noise["impulsive"] else []
    typer.echo(
        f"{printable(name)}  middle {width}x{height}; noise: sigma {sigma:.3g}, {', '.join(kinds)}"
    )
    figures = {"score": 2, "sure": 2, "masked": 2, "taken": 2, "whiteness": 3, "seconds": 2}
    rows = [
        (
            "-" if each["rank"] is None else str(each["rank"]),
            each["name"],
            *(_number(each[key], digits) for key, digits in figures.items()),
        )
        for each in details["ranking"]
    ]
    print_table(TITLES, rows, right=(TITLES[0], *TITLES[2:]))
    typer.echo(f"  {printable(details['verdict'])}")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _check(settings: Settings, *, quiet: bool, as_json: bool) -> NoReturn:
    view = Lines(quiet=quiet, bars=False)
    document = ranking.check(settings, view.say)
    for name, why in document["missing"].items():
        view.say(f"mdn: note: {name}: {why}")
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
        typer.echo(f"\n{document['verdict']}")
    raise typer.Exit(4 if not document["hits"] else 3 if document["failures"] else 0)
