"""One of several equal shares of a batch, chosen by the names of its files."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mdn.errors import UsageError
from mdn.jobs.job import Job

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
        """Whether a file of that name is in this share, whatever other files there are."""
        key = hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8]
        return int.from_bytes(key) % self.count == self.index - 1


def parse(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
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


def share_of(jobs: Sequence[Job], shard: Shard) -> list[Job]:
    """The jobs of one share, by the names of their inputs as they were given.

    Not by absolute paths: a folder may be mounted elsewhere on another machine.
    """
    return [job for job in jobs if shard.holds(job.name)]
