"""The rules that protect the user's files: an input is never an output, an existing file is only
replaced when that was asked for, and no two inputs share an output."""

import os
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mdn.errors import FileError, UsageError
from mdn.io import STORES
from mdn.jobs.inputs import place_of
from mdn.jobs.job import Job

_EXISTS = "give --overwrite, --skip-existing, --resume or -o"
_SECOND_EXISTS = "give --overwrite, or another name with --save-std"


def _pending(jobs: Iterable[Job]) -> list[tuple[Job, Path]]:
    return [(job, job.target) for job in jobs if job.target is not None and job.problem is None]


def refuse_shared_stdout(jobs: Sequence[Job]) -> None:
    """Raises UsageError where several results would go to standard output."""
    writers = [job for job in jobs if job.target is None and job.problem is None]
    if len(writers) > 1:
        raise UsageError(f"standard output takes one image and this makes {len(writers)}: use -o")


def refuse_collisions(jobs: Sequence[Job]) -> None:
    """Raises UsageError where two inputs share an output.

    The spelling of accents is ignored, since many disks ignore it, and so is case, but on a disk
    that is sure to tell it apart.
    """
    owners: dict[str, Job] = {}
    apart: dict[Path, bool] = {}
    for job, target in _pending(jobs):
        key = unicodedata.normalize("NFC", place_of(target))
        folder = target.parent
        if folder not in apart:
            apart[folder] = tells_case_apart(folder)
        key = key if apart[folder] else key.casefold()
        other = owners.setdefault(key, job)
        if other is not job:
            raise UsageError(
                f"{other.name} and {job.name} would both be written to {target}: use an output "
                "folder that keeps the tree, or a template such as {parent}/{stem}_clean{suffix}"
            )


def tells_case_apart(folder: Path) -> bool:
    """Whether names that differ by case only are two files in a folder, or where it will be made.

    Nothing is written: a name that is there is looked up in other case, one in the folder or else
    the folder's own. Where that does not tell, the answer is no.
    """
    place = Path(os.path.realpath(folder))
    while not place.is_dir() and place != place.parent:
        place = place.parent
    try:
        with os.scandir(place) as entries:
            inside = next((entry.path for entry in entries if _has_case(entry.name)), None)
        if inside is not None:
            return not _same_in_other_case(Path(inside))
        own_disk = place.stat().st_dev == place.parent.stat().st_dev
        return _has_case(place.name) and own_disk and not _same_in_other_case(place)
    except OSError:
        return False


def _has_case(name: str) -> bool:
    return name.isascii() and name.swapcase() != name


def _same_in_other_case(path: Path) -> bool:
    other = path.with_name(path.name.swapcase())
    return os.path.lexists(other) and os.path.samestat(path.lstat(), other.lstat())


def refuse_inputs_as_outputs(jobs: Sequence[Job]) -> None:
    """Raises UsageError where an output is one of the inputs, by whatever path."""
    inputs: dict[tuple[int, int], str] = {}
    for job in jobs:
        if job.source is not None and (file := _status(job.source)):
            inputs[file.st_dev, file.st_ino] = job.name
    for _, target in _pending(jobs):
        file = _status(target)
        if file and (file.st_dev, file.st_ino) in inputs:
            name = inputs[file.st_dev, file.st_ino]
            same = "" if name == str(target) else f" (it is {name})"
            raise UsageError(f"{target}: an output is also an input{same}; choose another with -o")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def settle_existing(
    jobs: Sequence[Job], *, overwrite: bool, skip: bool, cure: str = _EXISTS
) -> list[Job]:
    """The jobs; those whose output is there are skipped, or have a problem, unless it may go.

    cure: what to do about that problem.

    Raises UsageError: an output is no regular file, or all of them are there: nothing would be
    done.
    """
    existing = [(job, target) for job, target in _pending(jobs) if os.path.lexists(target)]
    for _, target in existing:
        file = _status(target)
        store = target.suffix.lower() in STORES and target.is_dir()
        if file and not stat.S_ISREG(file.st_mode) and not store:
            raise UsageError(f"{target}: not a regular file; name a file to write with -o")
    if overwrite or not existing:
        return list(jobs)
    if not skip and len(existing) == len(_pending(jobs)):
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise UsageError(f"{existing[0][1]} exists already{more}: {cure}")
    there = {id(job) for job, _ in existing}
    return [
        job
        if id(job) not in there
        else replace(job, skip=f"{job.target} exists")
        if skip
        else replace(job, problem=FileError(job.target, "exists already", cure))
        for job in jobs
    ]


def second_outputs(jobs: Iterable[Job]) -> list[Job]:
    """The jobs that have a second output, with that as their target."""
    return [replace(job, target=job.std_target) for job in jobs if job.std_target is not None]


def settle_seconds(jobs: Sequence[Job], *, overwrite: bool) -> list[Job]:
    """As `settle_existing`, of second outputs. Those of jobs that are skipped may be there."""
    seconds = second_outputs(job for job in jobs if not job.skip)
    settled = settle_existing(seconds, overwrite=overwrite, skip=False, cure=_SECOND_EXISTS)
    problems = {job.source: job.problem for job in settled if job.problem is not None}
    return [
        replace(job, problem=problems[job.source]) if job.source in problems else job
        for job in jobs
    ]


def writable(jobs: Sequence[Job]) -> list[Job]:
    """The jobs; those whose folder cannot be written to have a problem, and need not be waited for.

    Raises UsageError where that is the same for several, and none is left.
    """
    barred = {id(job): _barred(target.parent) for job, target in _pending(jobs) if not job.skip}
    reasons = set(barred.values())
    if len(barred) > 1 and len(reasons) == 1 and "" not in reasons:
        raise UsageError(f"{reasons.pop()}; write elsewhere with -o")
    return [
        replace(job, problem=FileError(str(job.target), why, "write elsewhere with -o"))
        if (why := barred.get(id(job), ""))
        else job
        for job in jobs
    ]


def _barred(folder: Path) -> str:
    """Why nothing can be written to a folder, which need not be there yet; or empty."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is read-only"
