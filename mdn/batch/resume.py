"""What of a batch is done already, by its manifest."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mdn.batch import manifest
from mdn.batch.manifest import Content, Entry, Manifest, Status
from mdn.batch.running import Job
from mdn.errors import FileError

DONE = "done already"
_UNKNOWN = Entry("", "failed")  # an output that no line is about


def resume(
    jobs: Sequence[Job], known: Manifest, settings: str, models: Mapping[str, str]
) -> list[Job]:
    """The jobs; those that are done are marked as skipped.

    Done is what the manifest says so of, with the same settings, weights and input, and with the
    output still there. An input of the same size and time of change is not opened; one of another
    time is compared by its hash.

    An output that is there, a second one too, is replaced only if the manifest shows that mdn wrote
    it and nobody has changed it since; any other is a problem of its job.

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
    entry = known.of(job.target) or _UNKNOWN
    if why := _why_kept(job.target, entry.status, entry.written):
        return _foreign(job, job.target, why)
    if _is_done(job, entry, settings, models):
        return replace(job, skip=DONE)
    if job.std_target is None:
        return job
    own = entry.std_output == manifest.place_in(known.folder, job.std_target)
    why = _why_kept(job.std_target, entry.status if own else "failed", entry.std_written)
    return _foreign(job, job.std_target, why) if why else job


def _is_done(job: Job, entry: Entry, settings: str, models: Mapping[str, str]) -> bool:
    outputs = [path for path in (job.target, job.std_target) if path is not None]
    if entry.status != "ok" or not all(os.path.lexists(path) for path in outputs):
        return False
    same = entry.settings == settings and models.get(entry.model, "") == entry.weights
    return same and job.source is not None and _is_unchanged(job.source, entry.read)


def _why_kept(output: Path, status: Status, written: Content) -> str:
    """Why an output must not be replaced; empty where it is not there, or is mdn's own."""
    if not os.path.lexists(output) or status == "started":
        return ""  # started: whatever is there, the run was killed after the rename
    if status == "failed" or not written[2]:  # older manifests do not tell of second outputs
        return "no run recorded it"
    return "" if _is_unchanged(output, written) else "it was changed after mdn wrote it"


def _foreign(job: Job, output: Path, why: str) -> Job:
    found, cure = f"exists already, and {why}", "move it away to have it made anew"
    return replace(job, problem=FileError(output, found, cure))


def _is_unchanged(path: Path, content: Content) -> bool:
    """Whether a file is as it was recorded; its content is read only where its time differs."""
    size, mtime_ns, sha256 = content
    try:
        now, changed = manifest.stamp(path)
        return now == size and (changed == mtime_ns or manifest.digest(path) == sha256)
    except OSError:
        return False
