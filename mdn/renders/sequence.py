"""Frames of one sequence: what they are called, what they share, and the frame before.

Settings that were measured anew for each frame would make a sequence flicker: exposure and depth
are measured on frames spread over the sequence before the first is denoised, and hold for all.
"""

import collections.abc
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mdn.batch.running import Job
from mdn.errors import FileError, UsageError
from mdn.io import exr
from mdn.io.exr.layers import Layer
from mdn.pipeline.linear import Known
from mdn.renders import frame, motion
from mdn.renders.options import RenderOptions

MEASURED = 5  # frames that the sequence's constants are measured on
MOST = 100_000  # frames in --frames

_HASHES = re.compile(r"#+")


def is_pattern(text: str) -> bool:
    """Whether a name stands for numbered frames: frame.####.exr."""
    return "#" in Path(text).name and not Path(text).exists()


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
        if not first <= last <= first + MOST or step == 0:
            raise UsageError(f"--frames {spec}: {item.strip()} is no range of frames")
        found += range(first, last + 1, step)
    return sorted(set(found))


def numbered(pattern: str, number: int) -> str:
    """The name of one frame: #### becomes 0007."""
    path = Path(pattern)
    name = _HASHES.sub(lambda run: f"{number:0{len(run[0])}d}", path.name)
    return str(path.with_name(name))


def on_disk(pattern: str) -> list[int]:
    """The numbers of all frames of a pattern that are there, ascending."""
    path = Path(pattern)
    pieces = [re.escape(piece) for piece in _HASHES.split(path.name)]
    if len(pieces) != 2:
        raise UsageError(f"{pattern}: write the frame number once, as ####")
    digits = len(_HASHES.findall(path.name)[0])
    match = re.compile(rf"{pieces[0]}(\d{{{digits},}}){pieces[1]}")
    try:
        names = [each.name for each in path.parent.iterdir()]
    except OSError:
        return []
    hits = (match.fullmatch(name) for name in names)
    return sorted(int(hit[1]) for hit in hits if hit)


@dataclass
class Sequence:
    """What the frames of a sequence share. Of files that are no sequence it keeps nothing."""

    jobs: collections.abc.Sequence[Job] = ()  # the frames, in order
    # of the first frame's layers, by name; None for files that are no sequence
    noise: dict[str, Known] | None = None
    _constants: frame.Constants | None = None
    _previous: motion.PreviousFrame = field(default_factory=motion.PreviousFrame)
    _last: int = -2  # the place in the sequence of the frame before

    def constants(self, asked: RenderOptions) -> frame.Constants | None:
        """Exposure and depth for all frames; None where each file has its own."""
        if not asked.sequence:
            return None
        if self._constants is None:
            self._constants = self._measured(asked)
        return self._constants

    def _measured(self, asked: RenderOptions) -> frame.Constants | None:
        """The geometric mean over frames spread over the sequence; unreadable ones do not count."""
        paths = [job.source for job in self.jobs if job.source is not None and not job.problem]
        plain = replace(asked, keep_sums=False)  # the search for sums changes nothing here
        places = np.linspace(0, max(0, len(paths) - 1), min(MEASURED, len(paths)))
        found: list[frame.Constants] = []
        for place in places.round().astype(int):
            with suppress(FileError):  # its own turn reports it
                found.append(frame.measure(frame.plan(exr.read(paths[place]), plain)))
        if not found:
            return None
        light = float(np.exp(np.mean([np.log(each.exposure) for each in found])))
        return frame.Constants(light, float(np.mean([each.depth for each in found])))

    def blender(
        self, planned: frame.Planned, job: Job, asked: RenderOptions
    ) -> Callable[[Layer, np.ndarray], np.ndarray]:
        """What blends each denoised layer with the frame before, along the motion vectors."""
        if not asked.motion or not planned.targets:
            return lambda layer, light: light
        place = next((i for i, each in enumerate(self.jobs) if each is job), -2)
        follows, self._last = place == self._last + 1, place
        self._previous.next_frame(planned, follows=follows)
        return self._previous.blend
