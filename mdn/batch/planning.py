"""Planning a batch: which file becomes which, and everything that can be refused before any work.

The rules that protect the user's files are all here: an input is never an output, an existing file
is only replaced when that was asked for, and no two inputs share an output.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mdn.batch.inputs import Found, expand, is_folder, place_of
from mdn.batch.manifest import absolute
from mdn.batch.naming import Naming
from mdn.batch.running import Job
from mdn.batch.shards import Shard, share_of
from mdn.errors import FileError, UsageError
from mdn.io import FORMATS, RENDERS, STORES, SUFFIXES, format_of, unreadable
from mdn.io.foreign import is_raw


@dataclass(frozen=True)
class Plan:
    """The jobs of a batch, and remarks for the user on how they came about.

    Attributes:
        jobs: in the order of the inputs.
        notes: one line each.
        folder: where its manifest goes: the output folder, or the one that holds all outputs. None
            where there is no batch, but one named file.
        whole: how many jobs all shards have together.
    """

    jobs: tuple[Job, ...]
    notes: tuple[str, ...] = ()
    folder: Path | None = None
    whole: int = 0


def plan(
    inputs: Sequence[str],
    output: str | None,
    *,
    ending: str = "_denoised",
    format: str | None = None,
    recursive: bool = False,
    draws: int = 1,
    std_target: str | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    resume: bool = False,
    listed: Sequence[str] = (),
    shard: Shard | None = None,
    renders: bool = False,
    stores: bool = False,
) -> Plan:
    """Decides what is read and what is written, and touches nothing.

    Args:
        inputs: files, folders, patterns, or `-` for standard input.
        output: a file, a folder, a template with fields, `-` for standard output, or None for
            `<stem><ending><suffix>` beside each input.
        ending: what the default naming puts behind the stem.
        format: an output format to force whatever the suffix says.
        recursive: look into the folders of a folder, and mirror them below an output folder.
        draws: how many outputs each input gets.
        std_target: a file, a folder or a template for a second output of each input, or None.
        overwrite: replace files that exist.
        skip_existing: leave files that exist, and skip their inputs.
        resume: leave the question of files that exist to `resume.resume`, which reads the manifest.
        listed: more inputs, as a list names them: no patterns, and an output folder mirrors the
            folders of relative ones.
        shard: the share of the batch to plan, or None for all of it.
        renders: take EXR files out of folders and patterns, too.
        stores: likewise Zarr stores.

    Raises:
        UsageError: the request cannot be carried out as a whole. What is wrong with one file only
            is kept as the `problem` of its job.
    """
    if overwrite + skip_existing + resume > 1:
        raise UsageError(
            "--overwrite, --skip-existing and --resume exclude each other: give one of them"
        )
    forced = None if format is None else _format(format)
    defaults = output is None
    # "-" in, nothing named out: a filter, as in `cat a.png | mdn denoise - | ...`
    output = "-" if defaults and list(inputs) == ["-"] else output
    former = re.compile(re.escape(ending) + r"(_\d{3,})?$") if output is None else None
    folder = Path(output) if output is not None and is_folder(output) else None
    expansion = expand(
        inputs,
        listed=listed,
        recursive=recursive,
        former=former,
        output_folder=folder,
        suffixes=SUFFIXES | (RENDERS if renders else set()) | (STORES if stores else set()),
    )
    several = expansion.folders or len(expansion.found) > 1
    naming = Naming.choose(output, ending=ending, format=forced, draws=draws, several=several)
    jobs = [_job(item, naming, draw, forced) for item in expansion.found for draw in naming.numbers]
    notes = list(expansion.notes)
    if std_target is not None:
        jobs = _with_std_targets(jobs, expansion.found, std_target, several)
    if defaults and skip_existing:
        jobs = _without_former(jobs, notes)
    _refuse_shared_stdout(jobs)
    seconds = [replace(job, target=job.std_target) for job in jobs if job.std_target is not None]
    _refuse_collisions([*jobs, *seconds])
    _refuse_inputs_as_outputs([*jobs, *seconds])
    place = common_folder(jobs, naming) if several or resume else None
    whole = len(jobs)
    if shard is not None:
        jobs, seconds = share_of(jobs, shard), share_of(seconds, shard)
    _settle_existing(seconds, overwrite=overwrite or skip_existing or resume, skip=False)
    jobs = _settle_existing(jobs, overwrite=overwrite or resume, skip=skip_existing)
    # What is there now and was not refused may be replaced; what appears later only if told so.
    jobs = [replace(job, overwrite=overwrite or _is_there(job.target)) for job in jobs]
    return Plan(tuple(_writable(job) for job in jobs), tuple(notes), place, whole)


def common_folder(jobs: Sequence[Job], naming: Naming | None = None) -> Path | None:
    """The output folder, or the deepest one that holds all outputs; None where there are none."""
    if naming is not None and naming.kind == "folder":
        return Path(naming.output)
    parents = [job.target.parent for job in jobs if job.target is not None]
    if not parents:
        return None
    try:
        return Path(os.path.commonpath([absolute(parent) for parent in parents]))
    except ValueError:  # several drives
        return parents[0]


def _format(name: str) -> str:
    try:
        return format_of(Path(f"x.{name.lower().lstrip('.')}"))
    except UsageError:
        raise UsageError(f"--format {name}: choose one of {' '.join(FORMATS)} exr") from None


def _job(item: Found, naming: Naming, draw: int, forced: str | None) -> Job:
    if item.problem is not None:
        return Job(item.path, None, item.name, draw=draw, problem=item.problem)
    if item.path is not None and is_raw(item.path):  # many are TIFFs inside, with a thumbnail first
        found = unreadable(item.path)
        refused = FileError(item.name, found.problem, found.remedy)
        return Job(item.path, None, item.name, draw=draw, problem=refused)
    target, problem = naming.target(item, draw), None
    if target is not None and forced is None:
        try:
            format_of(target)
        except UsageError:
            # The suffix came from the input: that file is at fault, not the request.
            if item.path is None or item.path.suffix != target.suffix:
                raise
            found = unreadable(item.path)
            problem = FileError(item.name, found.problem, found.remedy)
    return Job(item.path, target, item.name, forced, draw, problem=problem)


def _with_std_targets(
    jobs: Sequence[Job], found: Sequence[Found], std_target: str, several: bool
) -> list[Job]:
    """The jobs, one for each that was found, with their second outputs; folders get TIFFs."""
    if std_target == "-":
        raise UsageError("--save-std: standard output is for the picture; name a file")
    naming = Naming.choose(std_target, ending="", format=None, draws=1, several=several)
    if naming.kind == "folder":
        naming = replace(naming, format="tiff")
    made = []
    for job, item in zip(jobs, found, strict=True):
        target = naming.target(item, 1)
        assert target is not None
        format_of(target)
        made.append(replace(job, std_target=target))
    return made


def _without_former(jobs: list[Job], notes: list[str]) -> list[Job]:
    """Without the inputs that are themselves the output of another input.

    `mdn denoise *.png --skip-existing`, run twice: the shell names the results of the first run.
    """
    targets = {place_of(job.target) for job in jobs if job.target is not None}
    kept = [job for job in jobs if job.source is None or place_of(job.source) not in targets]
    for job in jobs:
        if job not in kept and job.draw == 1:
            notes.append(f"{job.name}: left out, an earlier run wrote it")
    return kept


def _pending(jobs: Iterable[Job]) -> list[tuple[Job, Path]]:
    return [(job, job.target) for job in jobs if job.target is not None and job.problem is None]


def _refuse_shared_stdout(jobs: Sequence[Job]) -> None:
    writers = [job for job in jobs if job.target is None and job.problem is None]
    if len(writers) > 1:
        raise UsageError(f"standard output takes one image and this makes {len(writers)}: use -o")


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    """Case and the spelling of accents are ignored, since many disks ignore them."""
    owners: dict[str, Job] = {}
    for job, target in _pending(jobs):
        key = unicodedata.normalize("NFC", place_of(target)).casefold()
        other = owners.setdefault(key, job)
        if other is not job:
            raise UsageError(
                f"{other.name} and {job.name} would both be written to {target}: use an output "
                "folder that keeps the tree, or a template such as {parent}/{stem}_clean{suffix}"
            )


def _refuse_inputs_as_outputs(jobs: Sequence[Job]) -> None:
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


def _settle_existing(jobs: Sequence[Job], *, overwrite: bool, skip: bool) -> list[Job]:
    existing = [(job, target) for job, target in _pending(jobs) if os.path.lexists(target)]
    for _, target in existing:
        file = _status(target)
        store = target.suffix.lower() in STORES and target.is_dir()
        if file and not stat.S_ISREG(file.st_mode) and not store:
            raise UsageError(f"{target}: not a regular file; name a file to write with -o")
    if existing and not (overwrite or skip):
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise UsageError(
            f"{existing[0][1]} exists already{more}: give --overwrite, --skip-existing, "
            "--resume or -o"
        )
    if not skip:
        return list(jobs)
    there = {id(job) for job, _ in existing}
    return [replace(job, skip=f"{job.target} exists") if id(job) in there else job for job in jobs]


def _is_there(path: Path | None) -> bool:
    return path is not None and os.path.lexists(path)


def _writable(job: Job) -> Job:
    """Marks a job whose folder cannot be written to, so that nobody waits for it in vain."""
    if job.target is None or job.problem is not None or job.skip:
        return job
    folder = job.target.parent
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    problem = None
    if not folder.is_dir():
        problem = FileError(job.target, f"{folder} is not a folder", "choose another with -o")
    elif not os.access(folder, os.W_OK | os.X_OK):
        problem = FileError(job.target, f"{folder} is read-only", "write elsewhere with -o")
    return replace(job, problem=problem)
