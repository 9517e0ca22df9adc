"""Files of a batch that overlap: one is computed, the next one is read, the one before is written.

Each file has its own thread from reading to writing. It waits for a slot to compute in: there is
one, on a GPU a few.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from mdn.io.base import memory_limit

if TYPE_CHECKING:
    from mdn.jobs.job import Job, Outcome, Report

Result = TypeVar("Result")

LISTEN = 0.2  # seconds: on some systems a wait must end before Ctrl-C is noticed
SHARE = 8  # a picture that is read ahead may take one part in SHARE of the free memory


class Stopped(Exception):
    """The batch has been stopped, and so has this file."""


class ComputeSlots:
    """The slots of a batch in which files compute, in the order of its files.

    computing: how many files may compute at once; more than 1 only helps a GPU.
    """

    def __init__(self, computing: int = 1) -> None:
        self.files = computing + 2  # open at once: one is read, one is written
        self._computing = self._free = computing
        self._change = threading.Condition()
        self._next, self._ahead = 1, set[int]()  # first file that had no turn yet; later ones
        self._stopped = self._given_up = False
        self._computers: ThreadPoolExecutor | None = None  # there while files overlap
        self._mine = threading.local()

    def run(self, work: Callable[[], Result], *, alone: bool = False) -> Result:
        """The result of `work`, which waits for a slot until the files before have had theirs.

        While files overlap, another thread does it: OpenMP keeps a team of threads for each thread
        that computes, and with more of them than cores they no longer wait for one another awake: a
        small picture was put to sleep and woken 300 times.

        alone: no other file computes meanwhile.
        Raises Stopped: the batch was stopped while it waited.
        """
        width = self._computing if alone else 1
        arrived = time.perf_counter()
        index = getattr(self._mine, "index", 0)
        with self._change:
            self._change.wait_for(
                lambda: self._stopped or (index <= self._next and self._free >= width)
            )
            self.check()
            self._free -= width
            self._pass(index)
        self._mine.waited = self.waited + time.perf_counter() - arrived
        try:
            if self._computers is None:
                return work()
            return self._computers.submit(copy_context().run, work).result()
        finally:
            with self._change:
                self._free += width
                self._change.notify_all()

    def _pass(self, index: int) -> None:
        """A file has its turn, or needs none: the next file may take its own."""
        if index >= self._next:
            self._ahead.add(index)
        while self._next in self._ahead:
            self._ahead.remove(self._next)
            self._next += 1
        self._change.notify_all()

    @property
    def waited(self) -> float:
        """Seconds that the file of this thread has waited for its turn."""
        return getattr(self._mine, "waited", 0.0)

    @contextmanager
    def beside_others(self) -> Iterator[None]:
        """Within it, pictures that are too large to be held beside others are not decoded.

        Raises OutOfMemoryError: this one is too large; read it when it has its turn.
        """
        if self._computers is None:
            yield
            return
        import psutil

        free = int(psutil.virtual_memory().available)
        with memory_limit(free // SHARE, free):
            yield

    def check(self) -> None:
        """Raises Stopped if nothing more is to be computed."""
        if self._stopped:
            raise Stopped

    def check_write(self) -> None:
        """Raises Stopped if not even what is being written is to be finished."""
        if self._given_up:
            raise Stopped

    def overlap(
        self,
        jobs: Sequence[Job],
        attempt: Callable[[Job, Report], Outcome],
        report: Report,
        outcomes: list[Outcome],
    ) -> None:
        """Does `attempt` on each job; outcomes are reported and appended in the order of the jobs.

        After Ctrl-C, or an error that every file would meet, what is being written is finished and
        reported; after a second Ctrl-C only what is written already.
        """
        import torch

        waiting: deque[Future[Outcome]] = deque()
        stoppable = _Stoppable(report, self)

        def one(index: int, job: Job) -> Outcome:
            self._mine.waited, self._mine.index = 0.0, index
            try:
                self.check()
                report.started(job, index, len(jobs))
                outcome = attempt(job, stoppable)
            finally:
                with self._change:
                    self._pass(index)
            return replace(outcome, seconds=max(0.0, outcome.seconds - self.waited))

        def settle() -> None:
            while not wait(list(waiting)[:1], LISTEN).done:
                pass
            outcome = waiting.popleft().result()
            outcomes.append(outcome)
            report.finished(outcome)

        def settle_all() -> None:
            while waiting:
                with suppress(Exception):  # stopped, or failed as the first did
                    settle()

        self._next = 1
        threads = torch.get_num_threads()  # other threads would take as many as there are cores
        computers = ThreadPoolExecutor(
            self._computing, "compute", torch.set_num_threads, (threads,)
        )
        with computers as self._computers, ThreadPoolExecutor(self.files, "file") as pool:
            try:
                for index, job in enumerate(jobs, start=1):
                    waiting.append(pool.submit(copy_context().run, one, index, job))
                    if len(waiting) == self.files:
                        settle()
                while waiting:
                    settle()
            except BaseException:
                with self._change:
                    self._stopped = True
                    self._change.notify_all()
                try:
                    settle_all()
                except BaseException:
                    self._given_up = True
                    settle_all()  # does not take long: the writers stop too
                    raise
                raise


class _Stoppable:
    """A report whose `progress` ends the work of a thread when the batch has been stopped."""

    def __init__(self, report: Report, slots: ComputeSlots) -> None:
        self.started, self.note, self.finished = report.started, report.note, report.finished
        self._report, self._slots = report, slots

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        """As of `Report`. Raises Stopped: the batch was stopped."""
        self._slots.check()
        self._report.progress(job, fraction, status)
