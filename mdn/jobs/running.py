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
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from mdn.errors import FileError, MdnError, NothingDoneError, OutOfMemoryError
from mdn.jobs import interrupts
from mdn.jobs.output_folders import OutputFolders
from mdn.jobs.overlap import Stopped, Turns

Status = Literal["ok", "skipped", "failed", "planned"]
MAX_REASON = 200  # characters of an internal error's own words


@dataclass(frozen=True)
class Job:
    """One image to read and one to write."""

    source: Path | None  # the file to read; None reads standard input
    target: Path | None  # the file to write; None writes to standard output
    name: str  # what messages call the input
    # the output format asked for; None follows the target's suffix, or, on standard output, the
    # format of the input
    format: str | None = None
    draw: int = 1  # which of several outputs of one input this is, from 1
    skip: str = ""  # why there is nothing to do, or empty
    due: str = ""  # with --resume, why there is something to do, for a dry run
    # what planning found to be wrong with this file, if anything; raised when its turn comes, so
    # that a batch reports it in its place and goes on
    problem: FileError | None = None
    # a second file to write, or None: the map of deviations of `mdn denoise`
    std_target: Path | None = None
    # whether what is at the target then may be replaced, however it came there
    overwrite: bool = False
    std_overwrite: bool = False  # likewise, at the std_target

    @property
    def target_name(self) -> str:
        """What messages call the output."""
        return "stdout" if self.target is None else str(self.target)


@dataclass(frozen=True)
class Outcome:
    """What became of one job."""

    job: Job
    status: Status  # ok, skipped (the output was there), failed, or planned (a dry run)
    seconds: float = 0.0  # wall-clock time it took
    error: str = ""  # one line for a failed job, the reason for a skipped one, else empty
    # facts about the work for people and for --json; JSON-able
    details: dict[str, object] = field(default_factory=dict)
    starved: bool = False  # whether it failed for want of memory
    internal: bool = False  # whether it failed by a fault of mdn's own
    # the traceback of a failed job, for --debug. As text: the exception itself would keep every
    # array alive that was in use where it was raised.
    trace: str = ""


class Report(Protocol):
    """Takes the progress of a batch. The command line draws it; tests record it."""

    def started(self, job: Job, index: int, total: int) -> None:
        """Work on `job` begins, the `index`-th (from 1) of `total`."""
        ...

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        """`fraction` of this job, 0 to 1, is done; how it goes, in a few words."""
        ...

    def note(self, job: Job, line: str) -> None:
        """A warning or a remark about this job, in one line."""
        ...

    def finished(self, outcome: Outcome) -> None:
        """The job is over, one way or the other."""
        ...


class Unheard:
    """A report that nobody reads."""

    def started(self, *_: object) -> None: ...
    def progress(self, *_: object) -> None: ...
    def note(self, job: Job, line: str) -> None: ...
    def finished(self, *_: object) -> None: ...


@dataclass(frozen=True)
class BatchResult:
    """The outcomes of a batch, in the order of its jobs."""

    outcomes: tuple[Outcome, ...]  # one for each job that was tried
    untried: int = 0  # how many jobs --fail-fast left alone

    def count(self, status: Status) -> int:
        """How many jobs ended with `status`."""
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, 3 if some files did, 4 if all of them did or there were none.

        5 if all of them did for want of memory: then --max-memory or the machine is at fault.
        1 if all of them did by internal errors: then mdn is.
        """
        failed = self.count("failed")
        if failed and all(outcome.starved for outcome in self.outcomes):
            return OutOfMemoryError.exit_code
        if failed and all(outcome.internal for outcome in self.outcomes):
            return MdnError.exit_code
        if failed == len(self.outcomes):
            return NothingDoneError.exit_code
        return FileError.exit_code if failed else 0


def run_batch(
    jobs: Sequence[Job],
    work: Callable[[Job, Report], dict[str, object]],
    report: Report,
    *,
    fail_fast: bool = False,
    dry_run: bool = False,
    turns: Turns | None = None,
) -> BatchResult:
    """Does `work` on each job in turn.

    Args:
        jobs: what `jobs.planning.plan` made.
        work: reads, computes and writes one job; returns the details of its outcome.
        report: gets every step.
        fail_fast: stop at the first file that fails.
        dry_run: do no work; say what would be done.
        turns: lets files overlap, for work that computes in `turns.compute`. None: one by one, as
            are those from or to a standard stream, and with `fail_fast`.

    Returns:
        The outcomes. Any exception in `work` becomes a failed outcome, save those that would befall
        the next file too, which are raised: an `MdnError` that is neither a `FileError` nor a lack
        of memory, a broken pipe, an interrupt.
    """
    outcomes: list[Outcome] = []
    folders = OutputFolders()
    piped = any(job.source is None or job.target is None for job in jobs)
    if turns is not None and len(jobs) > 1 and not (piped or fail_fast or dry_run):
        turns.run(
            jobs, lambda job, each: attempt(job, work, each, folders=folders), report, outcomes
        )
        return BatchResult(tuple(outcomes))
    for index, job in enumerate(jobs, start=1):
        report.started(job, index, len(jobs))
        outcome = attempt(job, work, report, dry_run, folders=folders)
        outcomes.append(outcome)
        report.finished(outcome)
        interrupts.leave()
        if fail_fast and outcome.status == "failed":
            break
    return BatchResult(tuple(outcomes), untried=len(jobs) - len(outcomes))


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
        if not again:
            _refuse_second(job)
        new = _new_outputs(job, again)
        with (folders or OutputFolders()).made_for(job.target):
            details = work(replace(job, overwrite=True) if again else job, report)
            if job.source is not None and file_stamp(job.source) != before:
                _discard(new)
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


def _refuse_second(job: Job) -> None:
    """Raises FileError where a second output has appeared since planning."""
    if job.std_target is not None and not job.std_overwrite and os.path.lexists(job.std_target):
        raise FileError(job.std_target, "exists by now and is left as it is", "give --overwrite")


def _discard(outputs: Iterable[Path]) -> None:
    for path in outputs:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


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
