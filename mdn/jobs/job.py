"""What a batch is made of: its jobs, their outcomes, and whoever is told how they go."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from mdn.errors import FileError, MdnError, NothingDoneError, OutOfMemoryError

Status = Literal["ok", "skipped", "failed", "planned"]


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
    # files before and after it in a sequence, each with how far along it lies
    beside: tuple[tuple[int, Path], ...] = ()
    # frames spread over its sequence, the first one first: what they share is measured on them
    shot: tuple[Path, ...] = ()
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
