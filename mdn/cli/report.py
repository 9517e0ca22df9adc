"""`mdn report`."""

from dataclasses import asdict
from pathlib import Path

import typer

from mdn.cli import options as opt
from mdn.cli import render
from mdn.errors import FileError


@opt.command
def report(folder: Path, as_json: bool = False) -> None:
    """Says how far a batch is, from its manifests; those of all shards are merged.

    Exit code 3 where a file failed or was left unfinished, or a shard is missing.
    """
    from mdn.batch import verification

    summary = verification.summarize(verification.load(folder))
    code = 0 if summary.whole else FileError.exit_code
    if as_json:
        found = asdict(summary) | {"command": "report", "folder": str(folder)}
        found["problems"] = [
            {"output": p.output, "input": p.input, "status": p.status, "error": p.reason}
            for p in summary.problems
        ]
        render.print_json(found | {"whole": summary.whole, "exit_code": code})
        raise typer.Exit(code)
    counts = {"failed": summary.failed, "unfinished": summary.unfinished}
    render.print_facts(
        [
            ("done", str(summary.ok)),
            *((name, str(count or "")) for name, count in counts.items()),
            ("time", render.duration(summary.seconds)),
            ("shards", ", ".join(summary.shards)),
            ("missing", ", ".join(summary.missing)),
        ]
    )
    for each in summary.problems:
        reason = each.reason or "unfinished: begun by a run that was killed"
        typer.echo(render.printable(f"{each.output}: {reason}"))
    raise typer.Exit(code)
