"""Which planes lie beside one of a stack, and whether they help.

Times come first; in depth, where planes are often further apart than the optics blur, only where
the user says how many. Of one plane a file, the frames of a sequence are its times.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from itertools import pairwise

import numpy as np

from mdn.errors import FileError
from mdn.io.stack import Plane, Stack
from mdn.jobs.job import Job
from mdn.pipeline import neighbours
from mdn.pipeline.channels import Channel
from mdn.pipeline.neighbours import Brightness, Neighbours, Source

Channels = dict[tuple[int, int], Channel]  # by series and number
Run = list[tuple[Plane, Source]]  # planes that differ in one place only, in its order
FRAMES = "frames"  # in place of an axis: the files of a sequence


class Surroundings:
    """The planes beside each plane of a stack, while it is open.

    Args:
        axis: along which they lie: T, Z, FRAMES, or nothing, for none.
        frames: of the files beside, how far along the sequence each is, and what it holds.
    """

    def __init__(self, stack: Stack, axis: str, frames: Sequence[tuple[int, Stack]] = ()) -> None:
        self.axis = axis
        self._places: dict[Plane, tuple[Run, int]] = {}
        runs = _in_files(stack, frames) if axis == FRAMES else _along(stack, axis)
        own = set(map(id, stack.planes))
        for run in runs:
            for place, (plane, _) in enumerate(run):
                if id(plane) in own:
                    self._places[plane] = run, place
        self._brightness: dict[tuple[int, int], Brightness] = {}
        self._read: list[Plane] = []

    def of(self, plane: Plane, channel: Channel) -> Neighbours | None:
        """The neighbours of a plane; None where there are none that help."""
        known, number = channel.calibration, channel.neighbours
        if known is None or not number or plane not in self._places:
            return None
        run, place = self._places[plane]
        others = [run[index] for index in neighbours.indices(place, len(run), number)]
        self._read += [other for other, _ in others]
        brightness = self._brightness.setdefault((plane.series, plane.channel), Brightness(known))
        return neighbours.beside(run[place][1], [source for _, source in others], known, brightness)

    def release(self) -> None:
        """Forget the rows of neighbours that are held for the next call."""
        for plane in self._read:
            plane.rows.release()
        self._read = []

    def pairs(self, key: tuple[int, int]) -> list[tuple[Source, Source]]:
        """All planes of a channel that have one beside them, each with that."""
        runs = {id(run): run for run, _ in self._places.values()}
        return [
            (one[1], other[1])
            for run in runs.values()
            for one, other in pairwise(run)
            if (one[0].series, one[0].channel) == key
        ]


@contextmanager
def surroundings(
    stack: Stack,
    job: Job,
    open_it: Callable[..., AbstractContextManager[Stack]],
    number: int | None,
) -> Iterator[Surroundings]:
    """The neighbours of the planes of a stack; files beside it are opened meanwhile.

    number: planes on each side, as the user says; None: two where there are times.
    """
    axis = axis_of(stack, job, number)
    with ExitStack() as opened:
        frames: list[tuple[int, Stack]] = []
        for offset, path in job.beside if axis == FRAMES else ():
            with suppress(FileError, OSError):  # its own turn reports it
                frames.append((offset, opened.enter_context(open_it(path, stack.axes, path.name))))
        yield Surroundings(stack, axis, frames)


def axis_of(stack: Stack, job: Job, number: int | None) -> str:
    """Along which axis the planes of a stack help one another; nothing where they do not."""
    if number == 0:
        return ""
    for axis in ("T", "Z") if number else ("T",):
        if len({plane.where.get(axis) for plane in stack.planes}) > 1:
            return axis
    return FRAMES if job.beside else ""


def with_neighbours(channels: Channels, around: Surroundings, number: int | None) -> Channels:
    """The channels, with how many planes on each side help, and how far they show the same."""
    result: Channels = {}
    for key, channel in channels.items():
        pairs = around.pairs(key)
        if channel.calibration is None or not pairs:
            result[key] = channel
            continue
        result[key] = channel.beside_others(pairs, number)
    around.release()
    return result


def source_of(plane: Plane, place: int = 0) -> Source:
    """A plane's size, and a way to read parts of it: one of its samples."""

    def read(top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return plane.rows.read(top, bottom, left, right)[..., plane.samples[place]]

    return plane.shape[:2], read


def _along(stack: Stack, axis: str) -> list[Run]:
    """Planes of one series and channel that differ in their place on an axis alone."""
    runs: dict[object, Run] = {}
    for plane in stack.planes:
        if axis in plane.where and not plane.colour:
            others = tuple(sorted(item for item in plane.where.items() if item[0] != axis))
            run = runs.setdefault((plane.series, plane.channel, others), [])
            run.append((plane, source_of(plane)))
    return [sorted(run, key=lambda item: item[0].where[axis]) for run in runs.values()]


def _in_files(stack: Stack, frames: Sequence[tuple[int, Stack]]) -> list[Run]:
    """The planes at the same place of several files."""
    alike = [
        (offset, other)
        for offset, other in frames
        if len(other.planes) == len(stack.planes) and other.dtype == stack.dtype
    ]
    ordered = sorted([*alike, (0, stack)], key=lambda item: item[0])
    return [
        [(each.planes[place], source_of(each.planes[place])) for _, each in ordered]
        for place, plane in enumerate(stack.planes)
        if not plane.colour
    ]
