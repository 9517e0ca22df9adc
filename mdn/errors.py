"""The one exception tree. `cli.app` alone turns these into a line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class MdnError(Exception):
    """Anything mdn can explain in one line.

    Attributes:
        exit_code: what the process returns when nothing catches the error earlier.
    """

    exit_code = 1


class UsageError(MdnError):
    """The request itself cannot be carried out: a bad option, two inputs for one output."""

    exit_code = 2


class FaultsError(UsageError):
    """Something that a user wrote has faults; told in a line each where there are several.

    Args:
        name: the file as the user named it.
        faults: what is wrong in it.
    """

    def __init__(self, name: object, faults: Sequence[str]) -> None:
        self.name, self.faults = str(name), tuple(faults)
        count = f"{len(faults)} faults: " if len(faults) > 1 else ""
        super().__init__(f"{name}: {count}{'; '.join(faults)}")


class FileError(MdnError):
    """One file cannot be read or written. A batch reports it and goes on.

    Args:
        name: the file as the user named it.
        problem: what is wrong with it.
        remedy: what the user can do about it, or nothing.
    """

    exit_code = 3

    def __init__(self, name: object, problem: str, remedy: str = "") -> None:
        self.name, self.problem, self.remedy = str(name), problem, remedy
        super().__init__(f"{name}: {problem}" + (f"; {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[type[FileError], tuple[str, str, str]]:
        return type(self), (self.name, self.problem, self.remedy)  # from worker to client


class NothingDoneError(MdnError):
    """Every input failed, or nothing matched."""

    exit_code = 4


class OutOfMemoryError(MdnError):
    """The work does not fit in the memory of the device or under --max-memory."""

    exit_code = 5


class ClusterError(MdnError):
    """The cluster that a batch was handed to is gone; what it had finished is recorded."""

    exit_code = 8


class ModelError(MdnError):
    """A model is missing, damaged or not what its card says."""

    exit_code = 6


@contextmanager
def plain_errors() -> Iterator[None]:
    """For `python -m mdn.training.NAME`: an MdnError becomes one line, and its exit code."""
    try:
        yield
    except MdnError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        raise SystemExit(error.exit_code) from None
