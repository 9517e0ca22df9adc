"""What commands that turn files into files have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import typer

from mdn.errors import NothingDoneError, UsageError

if TYPE_CHECKING:
    from mdn.batch.planning import Plan
    from mdn.batch.running import BatchResult, Report


def run(
    plan: Plan,
    task: Callable[[Report], BatchResult],
    *,
    command: str,
    quiet: bool,
    as_json: bool,
    dry_run: bool,
    debug: bool,
) -> NoReturn:
    """Runs `task` on a plan, draws its progress, prints its result, and exits.

    Args:
        plan: the jobs.
        task: does them, and tells the report it is given.
        command: the command's name, for the JSON document.
        quiet, as_json, dry_run, debug: the options of these names.

    Raises:
        UsageError: standard output cannot take what was asked for.
        NothingDoneError: there are no jobs.
        typer.Exit: always, with the batch's exit code.
    """
    from mdn.cli.render import print_json
    from mdn.cli.views import BatchView

    _check_streams(plan, as_json=as_json, dry_run=dry_run)
    no_bars = dry_run and not as_json
    with BatchView(len(plan.jobs), quiet=quiet, dry_run=no_bars, debug=debug) as view:
        for line in plan.notes:
            view.remark(line)
        if not plan.jobs:
            raise NothingDoneError("there is nothing to do: no input is left")
        result = task(view)
        view.summary(result)
    if as_json:
        print_json(document(command, plan, result, view.notes))
    raise typer.Exit(result.exit_code)


def _check_streams(plan: Plan, *, as_json: bool, dry_run: bool) -> None:
    to_stdout = any(job.target is None and job.problem is None for job in plan.jobs)
    if to_stdout and as_json:
        raise UsageError("--json and the image both want standard output: give -o FILE")
    if to_stdout and not dry_run and sys.stdout.isatty():
        raise UsageError("the image would go to the terminal: give -o FILE, or redirect it")
    from_stdin = any(job.source is None for job in plan.jobs)
    if from_stdin and not dry_run and sys.stdin.isatty():
        raise UsageError("- reads an image from standard input, which is the terminal: pipe one in")


def document(
    command: str, plan: Plan, result: BatchResult, notes: dict[int, list[str]]
) -> dict[str, object]:
    """The JSON document: one entry a file, in the order of the batch, and totals."""
    files = [
        {
            "input": outcome.job.name,
            "output": None if outcome.job.target is None else str(outcome.job.target),
            "status": outcome.status,
            "seconds": round(outcome.seconds, 3),
            "error": outcome.error if outcome.status == "failed" else None,
            "warnings": notes.get(id(outcome.job), []),
            **outcome.details,
        }
        for outcome in result.outcomes
    ]
    totals = {name: result.count(name) for name in ("ok", "skipped", "failed", "planned")}
    seconds = round(sum(outcome.seconds for outcome in result.outcomes), 3)
    return {
        "command": command,
        "files": files,
        "notes": list(plan.notes),
        "totals": totals | {"untried": result.untried, "seconds": seconds},
        "exit_code": result.exit_code,
    }
