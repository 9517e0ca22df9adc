"""`--watch DIR`: does what comes into a folder, until Ctrl-C."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import NoReturn

import typer

from mdn.batch import manifest
from mdn.batch.planning import Plan
from mdn.batch.running import BatchResult, Job
from mdn.cli import batch as batches
from mdn.cli import failures
from mdn.cli.batch import Batch, document
from mdn.errors import UsageError

PAUSE = 1.0  # seconds between two readings of the folder


def run(batch: Batch) -> NoReturn:
    """Reads the folder again and again; a file is taken when it has stopped growing.

    Raises:
        UsageError: the request makes no sense, or another run has the output folder.
        typer.Exit: after Ctrl-C, with the exit code of what was done.
    """
    if batch.files.dry_run:
        raise UsageError("--watch --dry-run: leave --watch out to see what is there now")
    with ExitStack() as stack:
        view = stack.enter_context(batch.view(0))
        journal = None
        plan = Plan(())
        with suppress(KeyboardInterrupt):
            for plan in _arrivals(batch):
                if journal is None:
                    journal = batches.open_journal(batch, plan, batch.shard)
                    if journal is not None:
                        stack.enter_context(journal)
                batches.work(batch, plan, journal, view)
        view.total = len(view.outcomes)
        result = BatchResult(tuple(view.outcomes))
        view.summary(result)
    if batch.files.as_json:
        found = document(batch.command, plan, result, view.notes)
        failures.print_document(batch.context.meta, found)
    raise typer.Exit(result.exit_code if result.outcomes else 0)


def _arrivals(batch: Batch) -> Iterator[Plan]:
    """Plans of those files that are new, or changed, and have not grown since the pause before."""
    before: dict[str, tuple[int, int]] = {}  # size and time of change of each file, one pause ago
    taken: dict[str, tuple[int, int]] = {}  # ... when it was taken
    while True:
        plan = batches.resumed(batch, batch.plan())
        now = {job.name: stamp for job in plan.jobs if (stamp := _stamp(job)) is not None}
        ready = [
            job
            for job in plan.jobs
            if not job.skip
            and job.name in now
            and now[job.name] == before.get(job.name) != taken.get(job.name)
        ]
        before = now
        if ready:
            taken |= {job.name: now[job.name] for job in ready}
            yield replace(plan, jobs=tuple(ready))
        time.sleep(PAUSE)


def _stamp(job: Job) -> tuple[int, int] | None:
    if job.source is None or not job.source.exists() or job.source.is_dir():
        return None
    with suppress(OSError):
        return manifest.stamp(job.source)
    return None
