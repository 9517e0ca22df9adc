"""Doing one thing to many files: their order, their failures, the exit code.

A command plans its jobs (`jobs.planning`), and hands them here with the work to do on one of
them. A file that fails is recorded and the batch goes on, also over too large a picture for the
memory or a fault of mdn's own; what mdn knows to fail for every file (a damaged model) ends it.
"""

import errno
import os
import shutil
import stat
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from mdn import interrupts
from mdn.errors import FileError, MdnError, OutOfMemoryError
from mdn.jobs.compute_slots import ComputeSlots, Stopped
from mdn.jobs.job import BatchResult, Job, Outcome, Report

MAX_REASON = 200  # characters of an internal error's own words


def run_batch(
    jobs: Sequence[Job],
    work: Callable[[Job, Report], dict[str, object]],
    report: Report,
    *,
    fail_fast: bool = False,
    dry_run: bool = False,
    slots: ComputeSlots | None = None,
) -> BatchResult:
    """Does `work` on each job in turn.

    Args:
        work: reads, computes and writes one job; returns the details of its outcome.
        report: gets every step.
        fail_fast: stop at the first file that fails.
        dry_run: do no work; say what would be done.
        slots: lets files overlap, for work that computes in `slots.run`. None: one by one, as
            are those from or to a standard stream, and with `fail_fast`.

    Any exception in `work` becomes a failed outcome, save those that would befall the next file
    too, which are raised: an `MdnError` that is neither a `FileError` nor a lack of memory, a
    broken pipe, an interrupt.
    """
    outcomes: list[Outcome] = []
    folders = OutputFolders()
    piped = any(job.source is None or job.target is None for job in jobs)
    if slots is not None and len(jobs) > 1 and not (piped or fail_fast or dry_run):
        slots.overlap(
            jobs, lambda job, notes: attempt(job, work, notes, folders=folders), report, outcomes
        )
        return BatchResult(tuple(outcomes))
    for index, job in enumerate(jobs, start=1):
        report.started(job, index, len(jobs))
        outcome = attempt(job, work, report, dry_run, folders=folders)
        outcomes.append(outcome)
        report.finished(outcome)
        interrupts.raise_pending()
        if fail_fast and outcome.status == "failed":
            break
    return BatchResult(tuple(outcomes), untried=len(jobs) - len(outcomes))


class OutputFolders:
    """Folders of outputs: made when a file needs them, removed again if nothing was written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: set[Path] = set()
        self._users: Counter[Path] = Counter()

    @contextmanager
    def made_for(self, target: Path | None) -> Iterator[None]:
        """Within it the target's folder is there."""
        if target is None:
            yield
            return
        folders = target.parents
        with self._lock:
            self._made.update(folder for folder in folders if not folder.exists())
            self._users.update(folders)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield
        finally:
            with self._lock:
                self._users.subtract(folders)
                for folder in folders:
                    if folder in self._made and not self._users[folder]:
                        self._made.remove(folder)
                        with suppress(OSError):  # something is in it
                            folder.rmdir()


def attempt(
    job: Job,
    work: Callable[[Job, Report], dict[str, object]],
    report: Report,
    dry_run: bool = False,
    again: bool = False,
    folders: OutputFolders | None = None,
) -> Outcome:
    """Does `work` on one job, unless planning has settled it; see `run_batch`.

    again: a result may be there already, of a worker that died before it could report it.
    """
    if job.problem is not None:
        return Outcome(job, "failed", error=str(job.problem))
    if job.skip:
        return Outcome(job, "skipped", error=job.skip)
    if dry_run:
        return Outcome(job, "planned", details={"due": job.due} if job.due else {})
    begin = time.perf_counter()
    try:
        before = None if job.source is None else file_stamp(job.source)
        second = job.std_target
        if second is not None and not (again or job.std_overwrite) and os.path.lexists(second):
            raise FileError(second, "exists by now and is left as it is", "give --overwrite")
        new = _new_outputs(job, again)
        with (folders or OutputFolders()).made_for(job.target):
            details = work(replace(job, overwrite=True) if again else job, report)
            if job.source is not None and file_stamp(job.source) != before:
                for path in new:
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.unlink(missing_ok=True)
                raise changed(job)
    except (BrokenPipeError, Stopped):
        raise  # whoever read our output has gone, or the batch is stopped: nobody waits for it
    except Exception as error:
        if isinstance(error, MdnError) and not isinstance(error, FileError | OutOfMemoryError):
            raise
        starved = _is_starved(error)
        return Outcome(
            job,
            "failed",
            time.perf_counter() - begin,
            str(explain(error, job)),
            starved=starved,
            internal=not (starved or isinstance(error, MdnError | OSError)),
            trace=traceback.format_exc(),
        )
    return Outcome(job, "ok", time.perf_counter() - begin, details=details)


def file_stamp(source: Path) -> tuple[int, int] | None:
    """Size in bytes and time of change in ns of a file; None for a folder or a missing file.

    If two calls differ, somebody wrote to it in between.
    """
    try:
        status = source.stat()
    except OSError:
        return None
    return None if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns)


def changed(job: Job) -> FileError:
    """The failure of an input that was written to while it was read."""
    return FileError(job.name, "changed while it was read", "run again when it is complete")


def _new_outputs(job: Job, again: bool) -> list[Path]:
    """The outputs that the work will not put in the place of older files.

    again: one that is there, and may not be replaced, is of the worker that died.
    """
    outputs = ((job.target, job.overwrite), (job.std_target, job.std_overwrite))
    return [
        path
        for path, may_go in outputs
        if path is not None and (not os.path.lexists(path) or (again and not may_go))
    ]


_REMEDIES: dict[int | None, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space, or write elsewhere with -o"),
    errno.EDQUOT: ("your disk quota is used up", "free some space, or write elsewhere with -o"),
    errno.EACCES: ("permission denied", "check who may read and write it"),
    errno.EPERM: ("the system does not allow it", "check who may read and write it"),
    errno.EROFS: ("the disk is read-only", "write elsewhere with -o"),
    errno.ENOENT: ("no such file", "check the name"),
    errno.EISDIR: ("is a folder", "name a file"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one with -o"),
}


def _is_starved(error: Exception) -> bool:
    """Whether memory has run out. Only what computes knows how PyTorch says so."""
    if isinstance(error, OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, MdnError) or "torch" not in sys.modules:
        return False
    from mdn.engine.memory import is_oom

    return is_oom(error)


def explain(error: Exception, job: Job) -> FileError:
    """What ended a job, in one line that names the file and says what to do."""
    if isinstance(error, FileError):
        return error
    if isinstance(error, OutOfMemoryError):
        return FileError(job.name, str(error))
    if _is_starved(error):
        return FileError(job.name, "does not fit in memory", "cut it into parts")
    if not isinstance(error, OSError):
        kind, words = type(error).__name__, " ".join(str(error).split())[:MAX_REASON]
        problem = f"internal error of mdn, {kind}: {words}".removesuffix(": ")
        return FileError(job.name, problem, "please report it with what --debug prints")
    name = job.target_name if error.filename is None else error.filename
    reason = error.strerror or type(error).__name__
    problem, remedy = _REMEDIES.get(error.errno, (reason, "check the file and run again"))
    return FileError(name, problem, remedy)
