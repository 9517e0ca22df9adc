"""A batch on a Dask cluster: a file is a task, or each block of a large one. Dask schedules.

The client plans, keeps the manifest and draws; workers read and write the files themselves, from
the same folders. A worker does one file at a time with all its threads, and loads its model once.
"""

from __future__ import annotations

import contextlib
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mdn
from mdn.errors import ClusterError, FileError, MdnError, UsageError
from mdn.io import base
from mdn.jobs.job import BatchResult, Job, Outcome, Report, Unheard
from mdn.jobs.running import attempt, run_batch

if TYPE_CHECKING:
    from distributed import Client

Work = Callable[[Job, Report], dict[str, object]]
Facts = dict[str, object]
# A file that was cut, `stacks.blocks.Blocks`: `missing` numbers, `do` one of them, `finish`.
Parts = Any


# (what was prepared, job, report) -> the parts of the file and facts about it, or None.
Cut = Callable[[Any, Job, Report], tuple[Parts, Facts] | None]


AHEAD = 2  # tasks by thread of the cluster that are handed out before their turn
GONE = "the scheduler of --dask is gone; what was done is recorded: run again with --resume"
_alone = threading.Lock()


def distribute(
    jobs: Sequence[Job],
    prepare: Callable[[], Work],
    report: Report,
    where: str | None,
    cut: Cut | None = None,
    *,
    fail_fast: bool = False,
    dry_run: bool = False,
) -> BatchResult:
    """As `run_batch`, on a cluster.

    Args:
        prepare: makes the work on one job, its model loaded; called once by each worker, so it must
            be picklable.
        where: as `dask_cluster.connect`; None: in this process.
        cut: cuts a large file into parts, which are tasks then; called in this process.

    Raises:
        ClusterError: the scheduler is gone.
        UsageError: there is no such cluster, or it has another mdn.
        And whatever ends `run_batch`.
    """
    if where is None or dry_run:
        return run_batch(jobs, prepare(), report, fail_fast=fail_fast, dry_run=dry_run)
    if any(job.source is None or job.target is None for job in jobs if not job.problem):
        raise UsageError("--dask: standard input and output stay in this process; name files")
    from mdn.jobs.dask_cluster import connect

    with connect(where) as client:
        here = None if cut is None else partial(cut, prepare())
        run = _Run(client, _Task(prepare), report, here)
        return run(jobs, fail_fast)


class _Task:
    """What is sent to workers beside the job: how to do it, and what holds for all of them."""

    def __init__(self, prepare: Callable[[], Any]) -> None:
        self._prepare, self._folder = pickle.dumps(prepare), Path.cwd()
        self._max_pixels, self._version = base.max_pixels(), mdn.__version__

    def whole(self, job: Job) -> tuple[Outcome, list[str]]:
        """On a worker: the outcome of a file, and the notes."""
        notes = _Notes()
        with self._place() as work:
            return attempt(job, work, notes, again=True), notes.lines

    def part(self, number: int, parts: Parts) -> int:
        """On a worker: one part of a file."""
        with self._place() as work:
            return parts.do(number, work)

    @contextlib.contextmanager
    def _place(self) -> Iterator[Any]:
        """The work, as the client's command line meant it; one at a time in a process."""
        if mdn.__version__ != self._version:
            versions = f"mdn {mdn.__version__}, and {self._version} here"
            raise UsageError(f"--dask: a worker has {versions}; install the same")
        names = contextlib.chdir(self._folder)  # they are as the user typed them
        with _alone, names, base.pixel_limit(self._max_pixels):
            yield _work(self._prepare)


@lru_cache(maxsize=1)
def _work(prepare: bytes) -> Any:
    import torch
    from distributed import get_worker

    torch.set_num_threads(get_worker().state.nthreads)
    return pickle.loads(prepare)()


class _Notes(Unheard):
    """The report of a worker: notes go back with the outcome, the client tells the rest."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, job: Job, line: str) -> None:
        self.lines.append(line)


@dataclass
class _Run:
    """One batch. Hands out a few tasks a thread, and one more for each that comes back."""

    client: Client
    task: _Task
    report: Report
    cut: Callable[[Job, Report], tuple[Parts, Facts] | None] | None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    failed: bool = False

    def __call__(self, jobs: Sequence[Job], fail_fast: bool) -> BatchResult:
        from distributed import as_completed

        waiting = iter(enumerate(jobs, start=1))
        numbers: dict[Any, int] = {}  # task -> number of its job
        running = as_completed()

        def hand_out() -> None:
            room = AHEAD * max(1, _threads(self.client))
            while len(numbers) < room and not (fail_fast and self.failed):
                index, job = next(waiting, (0, None))
                if job is None:
                    return
                self.report.started(job, index, len(jobs))
                if job.skip or job.problem is not None:
                    self._end(index, attempt(job, lambda job, report: {}, self.report))
                elif parts := self._parts(job):
                    self._end(index, attempt(job, partial(self._in_parts, *parts), self.report))
                else:
                    assert job.target is not None
                    with contextlib.suppress(OSError):  # or a worker takes it away under another
                        job.target.parent.mkdir(parents=True, exist_ok=True)
                    future = self.client.submit(self.task.whole, job, pure=False)
                    numbers[future.key] = index
                    running.add(future)

        hand_out()
        for future in running:
            index = numbers.pop(future.key)
            self._end(index, self._outcome(future, jobs[index - 1]))
            if fail_fast and self.failed:
                break
            hand_out()
        outcomes = tuple(self.outcomes[index] for index in sorted(self.outcomes))
        return BatchResult(outcomes, untried=len(jobs) - len(outcomes))

    def _end(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome
        self.failed |= outcome.status == "failed"
        self.report.finished(outcome)

    def _outcome(self, future: Any, job: Job) -> Outcome:
        """What came of a file. The outcome is of the very job that was started."""
        try:
            outcome, lines = _result(future, job.name)
        except FileError as error:
            return Outcome(job, "failed", error=str(error))
        for line in lines:
            self.report.note(job, line)
        return replace(outcome, job=job)

    def _parts(self, job: Job) -> tuple[Parts, Facts] | None:
        try:
            return None if self.cut is None else self.cut(job, self.report)
        except Exception as error:
            if isinstance(error, MdnError) and not isinstance(error, FileError):
                raise
            return None  # the worker that is given the whole file says what is wrong with it

    def _in_parts(self, parts: Parts, facts: Facts, job: Job, report: Report) -> Facts:
        """Does a file that was cut; each worker is sent what it needs once."""
        from distributed import as_completed

        odd, missing = 0, parts.missing
        sent = self.client.scatter(parts, broadcast=True)
        futures = self.client.map(self.task.part, missing, parts=sent, pure=False)
        for count, future in enumerate(as_completed(futures), start=1):
            odd += _result(future, job.name)
            report.progress(job, count / (len(missing) + 1))
        if odd:
            report.note(job, f"{odd} samples are NaN or infinite, and stay so")
        return facts | parts.finish()


def _threads(client: Client) -> int:
    """Of all workers; they come and go."""
    try:
        if client.status == "running":
            return sum(client.nthreads().values())
    except OSError:
        pass
    raise ClusterError(GONE)


def _result(future: Any, name: str) -> Any:
    """What the task called `name` gave.

    Raises ClusterError: there is nobody left to ask; FileError: the task has killed its workers.
    """
    from distributed import CancelledError, KilledWorker
    from distributed.scheduler import NoValidWorkerError, NoWorkerError

    if future.status in ("cancelled", "lost"):
        raise ClusterError(GONE)
    try:
        return future.result()
    except CancelledError:  # while it was waited for
        raise ClusterError(GONE) from None
    except KilledWorker as error:
        died = f"each of {error.allowed_failures + 1} workers died over it"
        raise FileError(name, died, "try --max-memory") from None
    except (NoValidWorkerError, NoWorkerError):
        raise ClusterError("no worker of --dask is left; run again with --resume") from None
