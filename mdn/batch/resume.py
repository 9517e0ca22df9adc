"""What of a batch is done already, by its manifest."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mdn.batch import manifest
from mdn.batch.manifest import Manifest
from mdn.batch.running import Job
from mdn.errors import FileError

DONE = "done already"


def resume(
    jobs: Sequence[Job], known: Manifest, settings: str, models: Mapping[str, str]
) -> list[Job]:
    """The jobs; those that are done are marked as skipped.

    Done is what the manifest says so of, with the same settings, weights and input, and with the
    output still there. An input of the same size and time of change is not opened; one of another
    time is compared by its hash.

    An output that is there is replaced only if the manifest shows that mdn wrote it and nobody has
    changed it since; any other is a problem of its job.

    Args:
        jobs: of the batch, as planned.
        known: the manifest.
        settings: hash of what is asked for now.
        models: SHA-256 of the weights of each model that may be used, by name.
    """
    return [_resumed(job, known, settings, models) for job in jobs]


def _resumed(job: Job, known: Manifest, settings: str, models: Mapping[str, str]) -> Job:
    if job.target is None or job.skip or job.problem is not None:
        return job
    there = os.path.lexists(job.target)
    entry = known.of(job.target)
    if entry is None or entry.status == "failed":
        return _foreign(job, "no run recorded it") if there else job
    if entry.status == "started":
        return job  # whatever is there: the run that had begun it was killed after the rename
    if not there:
        return job
    written = entry.output_size, entry.output_mtime_ns, entry.output_sha256
    if not _is_unchanged(job.target, *written):
        return _foreign(job, "it was changed after mdn wrote it")
    read = entry.size, entry.mtime_ns, entry.sha256
    std_there = job.std_target is None or os.path.lexists(job.std_target)
    same = entry.settings == settings and models.get(entry.model, "") == entry.weights
    if same and std_there and job.source is not None and _is_unchanged(job.source, *read):
        return replace(job, skip=DONE)
    return job


def _foreign(job: Job, why: str) -> Job:
    found, cure = f"exists already, and {why}", "move it away to have it made anew"
    return replace(job, problem=FileError(job.target, found, cure))


def _is_unchanged(path: Path, size: int, mtime_ns: int, sha256: str) -> bool:
    """Whether a file is as it was recorded; its content is read only where its time differs."""
    try:
        now, changed = manifest.stamp(path)
        return now == size and (changed == mtime_ns or manifest.digest(path) == sha256)
    except OSError:
        return False
