"""What a batch is made of: jobs, their shares and outcomes, and whoever is told how they go."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from mdn.errors import FileError, MdnError, NothingDoneError, OutOfMemoryError, UsageError

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


# --- shares of a batch -------------------------------------------------------------------------

# Job arrays, by the variables that their tasks see: index, first index, step, number of tasks,
# last index. PBS and Torque do not tell how many tasks there are.
_ARRAYS = (
    (*(f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "STEP", "COUNT")), ""),
    ("PBS_ARRAY_INDEX", "", "", "", ""),
    ("PBS_ARRAYID", "", "", "", ""),
    ("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_STEPSIZE", "", "SGE_TASK_LAST"),
    ("LSB_JOBINDEX", "", "LSB_JOBINDEX_STEP", "", "LSB_JOBINDEX_END"),
    ("AWS_BATCH_JOB_ARRAY_INDEX", "", "", "AWS_BATCH_JOB_ARRAY_SIZE", ""),
)


@dataclass(frozen=True)
class Shard:
    """The `index`-th of `count` shares, from 1."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, name: str) -> bool:
        """Whether a file of that name is in this share, whatever other files there are.

        The name is as it was given: a folder may be mounted elsewhere on another machine.
        """
        key = hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8]
        return int.from_bytes(key) % self.count == self.index - 1


def parse_shard(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """The share that --shard TEXT asks for.

    Args:
        text: "3/16"; "auto" for the place of this task in its job array; "auto/16" where the array
            does not tell its size.
        environment: the variables of the process.

    Raises UsageError: no such share, or no job array.
    """
    match = re.fullmatch(r"(auto|\d+)(?:/(\d+))?", text)
    if not match or (match[1] != "auto" and match[2] is None):
        raise UsageError(f"--shard {text}: write 3/16, or auto inside a job array")
    count = None if match[2] is None else int(match[2])
    if match[1] == "auto":
        return _of_array(text, count, environment)
    assert count is not None
    if not 1 <= int(match[1]) <= count:
        hint = f"of {count} shards they are 1/{count} to {count}/{count}" if count else "write 1/16"
        raise UsageError(f"--shard {text}: there is no such shard; {hint}")
    return Shard(int(match[1]), count)


def _of_array(text: str, count: int | None, environment: Mapping[str, str]) -> Shard:
    for index, first, step, size, last in _ARRAYS:
        if not environment.get(index, "").isdecimal():  # SGE says "undefined" outside of arrays
            continue
        start = _number(environment, first, 1)
        stride = max(1, _number(environment, step, 1))
        total = _number(environment, size, 0)
        if last and not total and _number(environment, last, 0):
            total = (_number(environment, last, 0) - start) // stride + 1
        number = count or total
        if not number:
            raise UsageError(f"--shard {text}: {index} does not tell how many; write auto/16")
        # Any run of equally spaced indices, from 0, 1 or elsewhere, meets each share once.
        return Shard((int(environment[index]) - start) // stride % number + 1, number)
    raise UsageError(f"--shard {text}: this process is in no job array; write 3/16")


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name, "")
    return int(value) if value.isdecimal() else default
