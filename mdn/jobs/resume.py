"""What of a batch is done already, by its manifest, and why the rest is due."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mdn.errors import FileError
from mdn.jobs.content import Content
from mdn.jobs.job import Job
from mdn.jobs.manifest import Entry, Manifest, place_in

DONE = "done already"


def resume(
    jobs: Sequence[Job], manifest: Manifest, settings: str, models: Mapping[str, str]
) -> list[Job]:
    """The jobs; those that are done are marked as skipped, the others with why they are due.

    Done is what the manifest says so of, with the same settings, weights and input, and with the
    output still there. An output that is there, a second one too, is replaced only if the manifest
    shows that mdn wrote it and nobody has changed it since; any other is a problem of its job.

    Args:
        jobs: of the batch, as planned.
        settings: hash of what is asked for now.
        models: SHA-256 of the weights of each model that may be used, by name.
    """
    return [_resumed(job, manifest, settings, models) for job in jobs]


def _resumed(job: Job, manifest: Manifest, settings: str, models: Mapping[str, str]) -> Job:
    if job.target is None or job.skip or job.problem is not None:
        return job
    output = place_in(manifest.folder, job.target)
    last, good = manifest.last.get(output), manifest.good.get(output)
    begun = last is not None and last.status == "started"  # killed, perhaps after the rename
    if foreign := _foreign(job.target, good.written if good else None, begun):
        return replace(job, problem=foreign)
    if not (due := _due(job, last, good, settings, models)):
        return replace(job, skip=DONE)
    if job.std_target is not None:
        second = place_in(manifest.folder, job.std_target)
        own = good.std_written if good and good.std_output == second else None
        begun = begun and last is not None and last.std_output == second
        if foreign := _foreign(job.std_target, own, begun):
            return replace(job, problem=foreign)
    return replace(job, due=due)


def _foreign(path: Path, written: Content | None, begun: bool) -> FileError | None:
    """What is wrong with replacing an output; None where it is not there, or is mdn's own."""
    if not os.path.lexists(path) or begun or (written and written.holds(path)):
        return None
    why = "it was changed after mdn wrote it" if written else "no run recorded it"
    return FileError(path, f"exists already, and {why}", "move it away to have it made anew")


def _due(
    job: Job, last: Entry | None, good: Entry | None, settings: str, models: Mapping[str, str]
) -> str:
    """Why a job is to be done, in a few words; empty where it is done."""
    outputs = [path for path in (job.target, job.std_target) if path is not None]
    if good is None:
        return f"failed: {last.reason}" if last and last.status == "failed" else "not done yet"
    if not all(map(os.path.lexists, outputs)):
        return "the result is gone"
    assert job.target is not None
    if good.written is not None and not good.written.holds(job.target):
        return "begun and not finished"
    if good.settings != settings or models.get(good.model, "") != good.weights:
        return "done with other options or weights"
    same = job.source is not None and good.read is not None and good.read.holds(job.source)
    return "" if same else "the input has changed"
