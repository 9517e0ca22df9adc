"""`python -m benchmarks.bench_page`: measures shipped models and baselines, and writes the page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import bench_summary
from mdn.errors import MdnError


def main(
    target: Annotated[Path, typer.Argument(help="The Markdown file; pictures go beside it.")],
    work: Annotated[
        Path, typer.Option(metavar="DIR", help="Keeps the scores, so that a stopped run goes on.")
    ],
    model: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="All shipped display models if empty.")
    ] = "",
    baselines: Annotated[str, typer.Option(metavar="NAME,NAME")] = "peer:all",
    data: Annotated[str, typer.Option(metavar="NAME,NAME")] = "kodak24,cbsd68",
    noise: Annotated[str, typer.Option(metavar="NOISE,NOISE")] = "suite",
    limit: Annotated[int, typer.Option(min=0, help="Pictures of each set; 0 is all.")] = 0,
    root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the sets lie; as for mdn bench.")
    ] = None,
) -> None:
    """Runs mdn bench on the standard sets, and writes what came of it as a page to commit."""
    from mdn import bench as task
    from mdn import nets
    from mdn.bench.report import sheet_files
    from mdn.cli.bench_view import BenchView
    from mdn.registry import store

    shipped = [
        card.name
        for card in store.list_cards()
        if (card.origin, card.domain) == ("shipped", "display")
        and nets.ARCHITECTURES[card.arch].purpose == "denoise"
    ]
    models = model.split(",") if model else shipped
    models += [name for name in baselines.split(",") if name]
    options = ["--data", data, "--model", ",".join(models), "--noise", noise]
    options += ["--limit", str(limit)] if limit else []
    settings = task.Settings(
        models=tuple(models),
        data=tuple(data.split(",")),
        noise=noise,
        limit=limit or None,
        root=root,
        out=work,
        plots=True,
        command=shlex.join(["mdn", "bench", *options]),
    )
    try:
        with BenchView() as view:
            result = task.run(settings, view)
        sheets = sheet_files.load(work, result.document["sheets"])
        for path in bench_summary.write(result.document, sheets, target, "make bench"):
            typer.echo(path)
    except MdnError as error:
        typer.echo(f"mdn: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    raise typer.Exit(result.exit_code)


if __name__ == "__main__":
    typer.run(main)
