"""A batch on a Dask cluster: each file is a task. Dask schedules, and replaces workers that die.

The client plans, keeps the manifest and draws; workers read and write the files themselves, from
the same folders. A worker does one file at a time with all its threads, and loads its model once.
"""

from __future__ import annotations

import contextlib
import pickle
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mdn
from mdn.batch.running import BatchResult, Job, Outcome, Report, attempt, run_batch
from mdn.errors import ClusterError, UsageError
from mdn.io import base

if TYPE_CHECKING:
    from distributed import Client

Work = Callable[[Job, Report], dict[str, object]]

AHEAD = 2  # tasks by thread of the cluster that are handed out before their turn
GONE = "the scheduler of --dask is gone; what was done is recorded: run again with --resume"
_alone = threading.Lock()


def distribute(
    jobs: Sequence[Job],
    prepare: Callable[[], Work],
    report: Report,
    where: str | None,
    *,
    fail_fast: bool = False,
    dry_run: bool = False,
) -> BatchResult:
    """As `run_batch`, on a cluster.

    Args:
        prepare: makes the work on one job, its model loaded; called once by each worker, so it must
            be picklable.
        where: as `dask_cluster.connect`; None: in this process.

    Raises:
        ClusterError: the scheduler is gone.
        UsageError: there is no such cluster, or it has another mdn.
        And whatever ends `run_batch`.
    """
    if where is None or dry_run:
        return run_batch(jobs, prepare(), report, fail_fast=fail_fast, dry_run=dry_run)
    if any(job.source is None or job.target is None for job in jobs if not job.problem):
        raise UsageError("--dask: standard input and output stay in this process; name files")
    from mdn.batch.dask_cluster import connect

    with connect(where) as client:
        return _run(client, jobs, _Task(prepare), report, fail_fast)


class _Task:
    """What is sent to workers beside the job: how to do it, and what holds for all of them."""

    def __init__(self, prepare: Callable[[], Work]) -> None:
        self._prepare, self._folder = pickle.dumps(prepare), Path.cwd()
        self._max_pixels, self._version = base.max_pixels(), mdn.__version__

    def __call__(self, job: Job) -> tuple[Outcome, list[str]]:
        """On a worker: the outcome, and the notes."""
        if mdn.__version__ != self._version:
            found = f"mdn {mdn.__version__}, and {self._version} here"
            raise UsageError(f"--dask: a worker has {found}; install the same")
        notes = _Notes()
        with (
            _alone,
            contextlib.chdir(self._folder),  # names are as the user typed them
            base.pixel_limit(self._max_pixels),
        ):
            return attempt(job, _work(self._prepare), notes, again=True), notes.lines


@lru_cache(maxsize=1)
def _work(prepare: bytes) -> Work:
    import torch
    from distributed import get_worker

    torch.set_num_threads(get_worker().state.nthreads)
    work: Work = pickle.loads(prepare)()
    return work


class _Notes:
    """The report of a worker: notes go back with the outcome, the client tells the rest."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, job: Job, line: str) -> None:
        """See Report."""
        self.lines.append(line)

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        """See Report."""

    def started(self, job: Job, index: int, total: int) -> None:
        """See Report."""

    def finished(self, outcome: Outcome) -> None:
        """See Report."""


def _run(
    client: Client, jobs: Sequence[Job], task: _Task, report: Report, fail_fast: bool
) -> BatchResult:
    """Hands out a few tasks a thread, and one more for each that comes back."""
    from distributed import as_completed

    waiting = list(enumerate(jobs, start=1))[::-1]
    outcomes: dict[int, Outcome] = {}
    given: dict[Any, int] = {}  # task -> number of its job
    running = as_completed()

    def hand_out() -> None:
        room = AHEAD * max(1, _threads(client))
        while waiting and len(given) < room:
            index, job = waiting.pop()
            report.started(job, index, len(jobs))
            if job.skip or job.problem is not None:
                end(index, attempt(job, _nothing, report))
                continue
            future = client.submit(task, job, pure=False)
            given[future.key] = index
            running.add(future)

    def end(index: int, outcome: Outcome) -> None:
        outcomes[index] = outcome
        report.finished(outcome)

    hand_out()
    for future in running:
        index = given.pop(future.key)
        outcome, lines = _result(future, jobs[index - 1])
        for line in lines:
            report.note(outcome.job, line)
        end(index, outcome)
        if fail_fast and outcome.status == "failed":
            break
        hand_out()
    done = tuple(outcomes[index] for index in sorted(outcomes))
    return BatchResult(done, untried=len(jobs) - len(done))


def _threads(client: Client) -> int:
    """Of all workers; they come and go."""
    try:
        if client.status == "running":
            return sum(client.nthreads().values())
    except OSError:
        pass
    raise ClusterError(GONE)


def _result(future: Any, job: Job) -> tuple[Outcome, list[str]]:
    """What came of a task. The outcome is of the very job that was started."""
    from distributed import KilledWorker
    from distributed.scheduler import NoValidWorkerError

    if future.status in ("cancelled", "lost"):
        raise ClusterError(GONE)
    try:
        outcome, lines = future.result()
    except KilledWorker as error:
        died = f"{job.name}: each of {error.allowed_failures + 1} workers died over it"
        return Outcome(job, "failed", error=f"{died}; try --max-memory"), []
    except NoValidWorkerError:
        raise ClusterError("no worker of --dask is left; run again with --resume") from None
    return replace(outcome, job=job), lines


def _nothing(job: Job, report: Report) -> dict[str, object]:
    raise AssertionError(f"{job.name} is settled already")
