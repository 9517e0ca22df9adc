"""From frame.####.exr to the jobs of a sequence, in the order of its frames."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mdn.batch.inputs import is_folder
from mdn.batch.planning import Plan, plan
from mdn.batch.running import Job
from mdn.batch.shards import share_of
from mdn.errors import FileError, UsageError
from mdn.renders.sequence import is_pattern, numbered, numbers, on_disk


def plan_sequence(
    inputs: Sequence[str], output: str | None, frames: str | None, **options: Any
) -> Plan | None:
    """The jobs of a sequence, or None where no input is a pattern such as frame.####.exr.

    Args:
        inputs, output: as for `batch.planning.plan`; `output` is a pattern as well, a folder,
            or None.
        frames: as for `sequence.numbers`; None: all that are on the disk.
        options: what else `batch.planning.plan` takes.

    Raises UsageError: --frames without a pattern, several inputs, no frames, one output for
    many.
    """
    if not any(is_pattern(text) for text in inputs):
        if frames is not None:
            raise UsageError("--frames needs a pattern of frames, such as frame.####.exr")
        return None
    if len(inputs) > 1:
        raise UsageError("one sequence at a time: give one pattern")
    pattern = inputs[0]
    wanted = on_disk(pattern) if frames is None else numbers(frames)
    if not wanted:
        raise UsageError(f"{pattern}: there are no such frames")
    hashes = output is not None and "#" in Path(output).name
    if output is not None and not (hashes or is_folder(output) or output.endswith("/")):
        raise UsageError(f"-o {output}: write the frame number as ####, or name a folder with /")
    shard = options.pop("shard", None)
    plans: list[Plan] = []
    refused: list[UsageError] = []
    for number in wanted:
        frame = numbered(pattern, number)
        target = numbered(output, number) if hashes and output else output
        try:
            plans.append(plan([frame], target, **options))
        except UsageError as error:  # its output is there; the other frames are done all the same
            refused.append(error)
            job = Job(Path(frame), None, frame, problem=FileError(frame, str(error)))
            plans.append(Plan((job,), whole=1))
    if len(refused) == len(wanted):
        raise refused[0]
    jobs = [job for each in plans for job in each.jobs]
    if shard is not None:
        jobs = share_of(jobs, shard)
    jobs = [dataclasses.replace(job, name=Path(job.name).name) for job in jobs]
    notes = tuple(note for each in plans for note in each.notes)
    whole = sum(each.whole for each in plans)
    folder = Path(pattern).parent if output is None else Path(output)
    return Plan(tuple(jobs), notes, folder.parent if hashes else folder, whole)
