"""Frames of one sequence: what they are called, what they share, and the frame before.

Settings that were measured anew for each frame would make a sequence flicker: exposure and depth
are measured on frames spread over the sequence before the first is denoised, and hold for all.
"""

import collections.abc
import glob
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mdn.errors import FileError, UsageError
from mdn.io import exr
from mdn.io.exr.layers import Layer
from mdn.jobs.inputs import is_folder
from mdn.jobs.job import Job
from mdn.jobs.planning import BatchPlan, plan
from mdn.pipeline.neighbours import MOST, indices
from mdn.renders import frame, motion
from mdn.renders.options import RenderOptions

MEASURED = 5  # frames that the sequence's constants are measured on
MOST_FRAMES = 100_000  # in --frames

# How programs write a frame's number: ####, @@@@ (RV, Houdini's hython), %04d (C), $F4 (Houdini).
_FIELD = re.compile(r"#+|@@+|%(?:0?(\d+))?d(?![A-Za-z])|\$F(\d*)")
_NUMBER = re.compile(r"\d+(?!.*\d)")  # the last one of a name, apart from its suffix


def is_pattern(text: str) -> bool:
    """Whether a name stands for numbered frames: frame.####.exr, frame.%04d.exr."""
    return bool(_FIELD.search(Path(text).name)) and not Path(text).exists()


def _digits(field: re.Match[str]) -> int:
    """How many digits a frame's number has at least."""
    if field[0][0] in "#@":
        return len(field[0])
    return int(field[1] or field[2] or 1)


def numbers(spec: str) -> list[int]:
    """ "1-240", "1-9,12", "1-100x5" (every fifth) as frame numbers. Raises UsageError."""
    found: list[int] = []
    for item in spec.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+)(?:x(\d+))?)?\s*", item)
        if match is None:
            raise UsageError(f"--frames {spec}: write 1-240, 1-240x2 or 1-9,12")
        first, last, step = (
            int(text or match[1]) for text in (match[1], match[2], match[3] or "1")
        )
        if not first <= last <= first + MOST_FRAMES or step == 0:
            raise UsageError(f"--frames {spec}: {item.strip()} is no range of frames")
        found += range(first, last + 1, step)
    return sorted(set(found))


def numbered(pattern: str, number: int) -> str:
    """The name of one frame: #### becomes 0007."""
    path = Path(pattern)
    name = _FIELD.sub(lambda field: f"{number:0{_digits(field)}d}", path.name)
    return str(path.with_name(name))


def on_disk(pattern: str) -> list[int]:
    """The numbers of all frames of a pattern that are there, ascending."""
    path = Path(pattern)
    fields = list(_FIELD.finditer(path.name))
    if len(fields) != 1:
        raise UsageError(f"{pattern}: write the frame number once, as ####")
    before, after = path.name[: fields[0].start()], path.name[fields[0].end() :]
    digits = rf"(\d{{{_digits(fields[0])},}})"
    match = re.compile(re.escape(before) + digits + re.escape(after))
    try:
        names = [each.name for each in path.parent.iterdir()]
    except OSError:
        return []
    hits = (match.fullmatch(name) for name in names)
    return sorted(int(hit[1]) for hit in hits if hit)


def pattern_of(inputs: collections.abc.Sequence[str]) -> tuple[str, list[int]] | None:
    """The pattern of files that differ in the last number of their names, and those numbers.

    inputs: names, or globs such as shot.*.exr. None where they are no frames of one sequence.
    """
    names = [
        Path(name)
        for text in inputs
        for name in (
            glob.glob(text) if glob.has_magic(text) and not Path(text).exists() else [text]
        )
    ]
    fields = [(name, _NUMBER.search(name.stem)) for name in names]
    parts = {
        (name.parent, name.stem[: field.start()], name.stem[field.end() :], name.suffix)
        for name, field in fields
        if field
    }
    if len(names) < 2 or len(parts) != 1 or not all(field for _, field in fields):
        return None
    texts = [field[0] for _, field in fields if field]
    (folder, before, after, suffix) = parts.pop()
    hashes = "#" * min(map(len, texts))
    return str(folder / f"{before}{hashes}{after}{suffix}"), sorted({int(text) for text in texts})


def plan_sequence(
    inputs: collections.abc.Sequence[str],
    output: str | None,
    frames: str | None,
    *,
    motion: bool = False,
    **options: Any,
) -> BatchPlan | None:
    """The jobs of a sequence, or None where no input is a pattern such as frame.####.exr.

    Args:
        motion: files, or a glob, that differ in a number alone are a sequence as well.
        inputs, output: as for `jobs.planning.plan`; `output` is a pattern as well, a folder,
            or None.
        frames: as for `numbers`; None: all that are on the disk.
        options: what else `jobs.planning.plan` takes.

    Raises UsageError: --frames without a pattern, several inputs, no frames, one output for
    many.
    """
    listed: list[int] | None = None
    if motion and not any(map(is_pattern, inputs)) and (shot := pattern_of(inputs)):
        inputs, listed = [shot[0]], shot[1]
    if not any(is_pattern(text) for text in inputs):
        if frames is not None:
            raise UsageError("--frames needs a pattern of frames, such as frame.####.exr")
        return None
    if len(inputs) > 1:
        raise UsageError("one sequence at a time: give one pattern")
    pattern = inputs[0]
    if frames is not None:
        wanted = numbers(frames)
    else:
        wanted = on_disk(pattern) if listed is None else listed
    if not wanted:
        raise UsageError(f"{pattern}: there are no such frames")
    hashes = output is not None and _FIELD.search(Path(output).name) is not None
    if output is not None and not (hashes or is_folder(output) or output.endswith("/")):
        raise UsageError(f"-o {output}: write the frame number as ####, or name a folder with /")
    shard = options.pop("shard", None)
    plans: list[BatchPlan] = []
    refused: dict[Path, UsageError] = {}
    for number in wanted:
        frame = numbered(pattern, number)
        target = numbered(output, number) if hashes and output else output
        try:
            plans.append(plan([frame], target, **options))
        except UsageError as error:  # its output is there; the other frames are done all the same
            refused[Path(frame)] = error
            job = Job(Path(frame), None, frame, problem=FileError(frame, str(error)))
            plans.append(BatchPlan((job,), whole=1))
    jobs = _with_frames_beside([job for each in plans for job in each.jobs])
    if shard is not None:
        jobs = [job for job in jobs if shard.holds(job.name)]
    errors = [refused.get(job.source) for job in jobs if job.source is not None]
    if errors and errors[0] is not None and None not in errors:
        raise errors[0]
    jobs = [replace(job, name=Path(job.name).name) for job in jobs]
    notes = tuple(note for each in plans for note in each.notes)
    whole = sum(each.whole for each in plans)
    folder = Path(pattern).parent if output is None else Path(output)
    return BatchPlan(tuple(jobs), notes, folder.parent if hashes else folder, whole)


def _with_frames_beside(jobs: list[Job]) -> list[Job]:
    """Each with the frames around it, which its worker reads itself, whatever shard they are in.

    And with those that the sequence's constants are measured on, so that all shards have the same.
    """
    paths = [job.source for job in jobs if job.source is not None]
    places = np.linspace(0, max(0, len(paths) - 1), min(MEASURED, len(paths)))
    shot = tuple(paths[place] for place in places.round().astype(int))
    result = []
    for place, job in enumerate(jobs):
        near = [(index - place, jobs[index].source) for index in indices(place, len(jobs), MOST)]
        beside = tuple((offset, path) for offset, path in near if path is not None)
        result.append(replace(job, beside=beside, shot=shot))
    return result


@dataclass
class Sequence:
    """What the frames of a sequence share. Of files that are no sequence it keeps nothing."""

    jobs: collections.abc.Sequence[Job] = ()  # the frames, in order
    _constants: frame.Constants | None = None
    # those around the last one that was denoised
    _frames: dict[Path | None, motion.Frame] = field(default_factory=dict)

    def constants(self, asked: RenderOptions, job: Job) -> frame.Constants | None:
        """Exposure and depth for all frames; None where each file has its own."""
        if not asked.sequence:
            return None
        if self._constants is None:
            self._constants = self._measured(asked, job.shot)
        return self._constants

    def _measured(
        self, asked: RenderOptions, shot: collections.abc.Sequence[Path]
    ) -> frame.Constants | None:
        """The geometric mean over frames spread over the sequence; unreadable ones do not count."""
        plain = replace(asked, keep_sums=False)  # the search for sums changes nothing here
        found: list[frame.Constants] = []
        for path in shot:
            with suppress(FileError):  # its own turn reports it
                found.append(frame.measure(frame.plan(exr.read(path), plain)))
        if not found:
            return None
        scenes = {scene for each in found for scene in each.exposures}
        lights = {
            scene: [each.exposures[scene] for each in found if scene in each.exposures]
            for scene in sorted(scenes)
        }
        means = {scene: float(np.exp(np.mean(np.log(few)))) for scene, few in lights.items()}
        return frame.Constants(means, float(np.mean([each.depth for each in found])))

    def blended(
        self,
        planned: frame.Planned,
        job: Job,
        asked: RenderOptions,
        clean: Callable[[frame.Planned], frame.Cleaned],
    ) -> tuple[frame.Cleaned, dict[Layer, np.ndarray]]:
        """A frame without its noise, and its light blended with that of the frames around it.

        clean: denoises a frame.
        """
        others = {n: path for n, path in job.beside if abs(n) <= motion.REACH}
        former, self._frames = self._frames, {}
        own = former.get(job.source) or motion.Frame(planned, clean(planned))
        self._frames[job.source] = own
        frames: dict[int, motion.Frame] = {}
        for offset, path in others.items():
            with suppress(FileError):  # its own turn reports it
                if path not in former:
                    other = frame.plan(exr.read(path), asked)
                    former[path] = motion.Frame(other, clean(other))
                frames[offset] = self._frames[path] = former[path]
        return own.cleaned, motion.blended(own, frames)
