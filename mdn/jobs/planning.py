"""Planning a batch: which file becomes which, and everything that can be refused before any work.

The rules that protect the user's files are those of `safeguards`.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mdn.errors import FileError, UsageError
from mdn.io import FORMATS, SUFFIXES, format_of, unreadable
from mdn.jobs.inputs import Input, LeftOut, expand, is_folder, place_of
from mdn.jobs.job import Job, Shard
from mdn.jobs.manifest import absolute
from mdn.jobs.naming import Naming
from mdn.jobs.safeguards import (
    refuse_collisions,
    refuse_inputs_as_outputs,
    refuse_shared_stdout,
    second_outputs,
    settle_existing,
    settle_seconds,
    writable,
)


@dataclass(frozen=True)
class BatchPlan:
    """The jobs of a batch, and remarks for the user on how they came about."""

    jobs: tuple[Job, ...]  # in the order of the inputs
    notes: tuple[str, ...] = ()  # one line each
    # where its manifest goes: the output folder, or the one that holds all outputs. None where
    # there is no batch, but one named file.
    folder: Path | None = None
    whole: int = 0  # how many jobs all shards have together
    # what of folders and patterns is not taken; a note says so of each
    left_out: tuple[LeftOut, ...] = ()


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
    suffixes: frozenset[str] = SUFFIXES,
) -> BatchPlan:
    """Decides what is read and what is written, and touches nothing.

    Args:
        inputs: files, folders, patterns, or `-` for standard input.
        output: a file, a folder, a template with fields, `-` for standard output, or None for
            `<stem><ending><suffix>` beside each input.
        format: an output format to force whatever the suffix says.
        recursive: look into the folders of a folder, and mirror them below an output folder.
        draws: how many outputs each input gets.
        std_target: a file, a folder or a template for a second output of each input, or None.
        overwrite: replace files that exist. skip_existing: leave them, and skip their inputs.
        resume: leave the question of files that exist to the manifest.
        listed: more inputs, as a list names them: no patterns, and an output folder mirrors the
            folders of relative ones.
        shard: the share of the batch to plan, or None for all of it. One file is planned whole.
        suffixes: what counts as an image in folders and patterns.

    Raises UsageError: the request cannot be carried out as a whole. What is wrong with one file
    only becomes the `problem` of its job.
    """
    if overwrite + skip_existing + resume > 1:
        raise UsageError(
            "--overwrite, --skip-existing and --resume exclude each other: give one of them"
        )
    try:
        forced = None if format is None else format_of(f"x.{format.lower().lstrip('.')}")
    except UsageError:
        raise UsageError(f"--format {format}: choose one of {' '.join(FORMATS)} exr") from None
    defaults = output is None
    # "-" in, nothing named out: a filter, as in `cat a.png | mdn denoise - | ...`
    output = "-" if defaults and list(inputs) == ["-"] else output
    own = ending if output is None else _ending(output)
    former = re.compile(re.escape(own) + r"(_\d{3,})?$") if own else None
    folder = Path(output) if output is not None and is_folder(output) else None
    expansion = expand(
        inputs,
        listed=listed,
        recursive=recursive,
        former=former,
        output_folder=folder,
        suffixes=suffixes,
    )
    several = expansion.folders or len(expansion.inputs) > 1
    naming = Naming.choose(output, ending=ending, format=forced, draws=draws, several=several)
    jobs = [
        _job(item, naming, draw + 1, forced) for item in expansion.inputs for draw in range(draws)
    ]
    notes = [str(remark) for remark in expansion.left_out]
    if std_target is not None:
        jobs = _with_std_targets(jobs, expansion.inputs, std_target, several)
    if defaults and skip_existing:
        # `mdn denoise *.png --skip-existing`, run twice: the shell names results of the first run.
        targets = {place_of(job.target) for job in jobs if job.target is not None}
        former_jobs = [job for job in jobs if job.source and place_of(job.source) in targets]
        jobs = [job for job in jobs if job not in former_jobs]
        notes += [
            f"{job.name}: left out, an earlier run wrote it" for job in former_jobs if job.draw == 1
        ]
    refuse_shared_stdout(jobs)
    refuse_collisions([*jobs, *second_outputs(jobs)])
    refuse_inputs_as_outputs([*jobs, *second_outputs(jobs)])
    alone = shard is not None and not several  # a share of its blocks is meant
    place = common_folder(jobs, naming) if several or (resume and not alone) else None
    whole = len(jobs)
    if shard is not None and several:
        jobs = [job for job in jobs if shard.holds(job.name)]
    recorded = resume and place is not None  # then the manifest says what may be replaced
    free = overwrite or recorded
    jobs = settle_existing(jobs, overwrite=free, skip=skip_existing or resume)
    # What is there now and was not refused may be replaced; what appears later only if asked for.
    jobs = [
        replace(
            job,
            overwrite=overwrite or os.path.lexists(job.target or ""),
            std_overwrite=overwrite or os.path.lexists(job.std_target or ""),
        )
        for job in settle_seconds(jobs, overwrite=free)
    ]
    return BatchPlan(tuple(writable(jobs)), tuple(notes), place, whole, expansion.left_out)


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


def _job(item: Input, naming: Naming, draw: int, forced: str | None) -> Job:
    if item.problem is not None:
        return Job(item.path, None, item.name, draw=draw, problem=item.problem)
    target, problem = naming.target(item, draw), None
    if target is not None and forced is None:
        try:
            format_of(target)
        except UsageError:
            # The suffix came from the input: that file is at fault, not the request.
            if item.path is None or item.path.suffix != target.suffix:
                raise
            error = unreadable(item.path)
            problem = FileError(item.name, error.problem, error.remedy)
    return Job(item.path, target, item.name, forced, draw, problem=problem)


def _with_std_targets(
    jobs: Sequence[Job], inputs: Sequence[Input], std_target: str, several: bool
) -> list[Job]:
    """The jobs, one for each input, with their second outputs; folders get TIFFs."""
    if std_target == "-":
        raise UsageError("--save-std: standard output is for the picture; name a file")
    naming = Naming.choose(std_target, ending="", format=None, draws=1, several=several)
    if naming.kind == "folder":
        naming = replace(naming, format="tiff")
    result = []
    for job, item in zip(jobs, inputs, strict=True):
        target = naming.target(item, 1)
        assert target is not None
        format_of(target)
        result.append(replace(job, std_target=target))
    return result


def _ending(output: str) -> str:
    """What a template puts behind the stem, where its outputs lie beside their inputs; or nothing.

    Else a second run would take the results of the first for inputs.
    """
    match = re.fullmatch(r"\{parent\}/\{stem\}([^{}/]+)(\{suffix\}|\.\w+)", output)
    return match[1] if match else ""
