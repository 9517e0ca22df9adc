"""The job of one stack: plane by plane, rows by rows, into a copy of the file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import accumulate, groupby
from typing import Any

import numpy as np
import torch

from mdn import io
from mdn.encoding import Display
from mdn.engine.run import StdOutput
from mdn.errors import FileError
from mdn.io.stack import Plane, Stack, StackWriter
from mdn.io.tiff.rewrite import rewrite
from mdn.io.tiff.stack import is_tiff, open_stack
from mdn.io.zarr.rewrite import rewrite_zarr
from mdn.io.zarr.stack import ZARR, is_store, open_zarr
from mdn.jobs.files import StdMap, describe_std, std_map
from mdn.jobs.job import Job, Report
from mdn.noise.analysis.phases import is_mosaic
from mdn.pipeline.calibration import sample
from mdn.pipeline.channels import Channel, Planes, read_channel
from mdn.pipeline.denoise_tiles import Progress, no_progress
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.pipeline.page import of_planes
from mdn.pipeline.part import Part, part_of_counts, takes_neighbours
from mdn.pipeline.plan import Adapter, NoisyPart, Plan, plan_display
from mdn.pipeline.restore import restore
from mdn.registry.model import Model
from mdn.stacks.neighbours import Surroundings, source_of, surroundings, with_neighbours
from mdn.stacks.planes import NonFinite, PlaneSelection

MEASURED = "taken for a photo; for a picture from a microscope, try --encoding counts"
NONE = "no noise found"  # as such a line begins
FEW = "few counts a pixel, held by whole numbers as a pattern: 32-bit floats would be smooth"
ALONE = "--neighbours is for stacks with times or slices, and frames of a sequence: none here"
MOSAIC = "looks like a colour camera's raw mosaic, whose colours would be lost: demosaic it first"

Key = tuple[int, int]  # series and channel
Channels = dict[Key, Channel]
Loaded = dict[str, tuple[Model, Options]]  # by domain, display or counts

# How stacks of a kind are opened, and how copies of them are written.
KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "tiff": (open_stack, rewrite),
    ZARR: (open_zarr, rewrite_zarr),
}


def kind_of(job: Job) -> str:
    """What kind of stack a job is about, from file to file; empty where it is none.

    Raises FileError: it would turn a Zarr store into something else, or the other way round.
    """
    if job.source is None or job.target is None:
        return ""
    wanted = job.format or io.format_of(job.target)
    if is_store(job.source) != (wanted == ZARR):
        if wanted == ZARR:
            problem = "is not a Zarr store, so it cannot become one"
            raise FileError(job.name, problem, "write a .tif")
        raise FileError(job.name, "is a Zarr store, which can only become another", "write a .zarr")
    if wanted == ZARR:
        return ZARR
    return "tiff" if wanted == "tiff" and is_tiff(job.source) else ""


@contextmanager
def opened(
    job: Job, selection: PlaneSelection, number: int | None
) -> Iterator[tuple[Any, list[Plane], Surroundings]]:
    """A stack, its planes that are meant, and those beside them, while it is open.

    number: planes on each side that help one; None: as usual.
    """
    assert job.source is not None
    open_it, _ = KINDS[kind_of(job)]
    with (
        open_it(job.source, selection.axes, job.name) as stack,
        surroundings(stack, job, open_it, number) as around,
    ):
        yield stack, selection.of(stack), around


def denoise(
    job: Job,
    report: Report,
    models: Models,
    *,
    selection: PlaneSelection,
    encoding: str,
    jpeg_quality: int,
    adapter: Adapter | None = None,
    masked: bool = False,
    neighbours: int | None = None,
) -> dict[str, object] | None:
    """Denoise a stack from file to file; None where it is better read as a photo.

    Args:
        encoding: display, counts or auto: counts for what a microscope measured.
        masked: whether --protect was given, which is for pictures only.
        neighbours: how many planes on each side help one; None: three, where there are times.

    Raises FileError: it cannot be read or written, or has no such planes.
    """
    assert job.target is not None
    number = neighbours if adapter is None else 0  # a fit is to planes by themselves
    with opened(job, selection, number) as (stack, chosen, around):
        if not selection.given and stack.photo:
            return None
        if masked:
            raise FileError(
                job.name, "is a stack, and --protect is for single pictures", "leave it out"
            )
        non_finite, details = NonFinite(), stack.describe() | {"planes": len(chosen)}
        if models.options().strength == 0:
            chosen = []
        if number and not around.axis:
            report.note(job, ALONE)
        channels = channels_of(stack, chosen, encoding, models, around, number)
        details |= about(channels, models, job.name)
        said: list[str] = []
        if chosen:
            if _is_mosaic(chosen[0], channels):
                report.note(job, MOSAIC)
            loaded = models_for(stack, chosen, channels, models, adapter)
        white = Display(stack.dtype).white
        with (
            KINDS[kind_of(job)][1](stack, job.target, jpeg_quality, overwrite=job.overwrite) as out,
            std_map(job, _one_size(stack, chosen, job), white) as deviations,
        ):
            pages, done = pages_of(chosen), 0
            for index, planes in enumerate(pages):
                share = lambda part, index=index: report.progress(job, (index + part) / len(pages))  # noqa: E731
                std = _std_output(deviations, planes, done)
                lines = denoise_page(
                    loaded, channels, non_finite, out, planes, around, progress=share, std=std
                )
                done += len(planes)
                # Of pages without noise the first is told of, unless another had some.
                if lines and (not said or said[0].startswith(NONE) > lines[0].startswith(NONE)):
                    said = lines
        if non_finite.count:
            report.note(job, non_finite.in_words())
        if said:
            gray = encoding == "auto" and stack.dtype.itemsize == 1 and not stack.colour
            gray = gray and details["encoding"] == "display"
            noisy = not said[0].startswith(NONE)
            before = details.get("summary", [])
            details["summary"] = [*before, *said, *([MEASURED] if gray and noisy else [])]
        return details | describe_std(deviations, job, report)


def about(channels: Channels, models: Models, name: str) -> dict[str, Any]:
    """Facts about how the planes are taken, by what `channels_of` read of them.

    Raises FileError where counts are to be treated as colours.
    """
    known = {key: c.calibration for key, c in channels.items() if c.calibration is not None}
    if not known:
        return {"encoding": "display"}
    options = models.options("counts")
    options.check_counts(name)
    noise = {str(key[1]): each.describe() for key, each in known.items()}
    facts = {"encoding": "counts", "model": models.card("counts").name, "noise": noise}
    if options.sigma is not None:
        return facts
    words = {key[1]: each.in_words(options.removed) for key, each in known.items()}
    several = len(words) > 1
    said = [f"channel {key}: {line}" if several else line for key, line in words.items()]
    if any(each.coding.few and each.sigma for each in known.values()):
        said.append(FEW)
    said += _about_neighbours(channels)
    shares = {str(k[1]): round(c.alike, 3) for k, c in channels.items() if c.alike is not None}
    return facts | {"summary": said} | ({"neighbours_alike": shares} if shares else {})


def _about_neighbours(channels: Channels) -> list[str]:
    """What is said of the planes beside others, once where it is the same of all channels."""
    lines = {key[1]: channel.about_neighbours for key, channel in channels.items()}
    if len(set(lines.values())) == 1:
        return [line for line in list(lines.values())[:1] if line]
    return [f"channel {key}: {line}" for key, line in lines.items() if line]


def models_for(
    stack: Stack,
    chosen: Sequence[Plane],
    channels: Channels,
    models: Models,
    adapter: Adapter | None,
) -> Loaded:
    """The models for the planes with their options, fitted to them if there is an adapter."""
    kinds = {_domain(channels.get((p.series, p.channel))) for p in chosen}
    loaded: Loaded = {}
    for domain in sorted(kinds):
        model, options = models.load(domain), models.options(domain)
        if adapter is not None:
            own = [p for p in chosen if _domain(channels.get((p.series, p.channel))) == domain]
            model = adapter.to_parts(partial(_windows, own, channels, model), model)
        loaded[domain] = model, options
    return loaded


def _domain(channel: Channel | None) -> str:
    return "display" if channel is None or channel.calibration is None else "counts"


def _one_size(stack: Stack, chosen: Sequence[Plane], job: Job) -> tuple[int, int, int]:
    """Planes, height and width of the map of deviations, which has a page for each plane."""
    sizes = {plane.shape[:2] for plane in chosen}
    if job.std_target is not None and len(sizes) > 1:
        problem = "--save-std: its planes differ in size"
        raise FileError(stack.name, problem, "choose planes of one size")
    return (len(chosen), *(sizes.pop() if sizes else (0, 0)))


def _std_output(
    deviations: StdMap | None, planes: Sequence[Plane], number: int
) -> StdOutput | None:
    """Hands the deviations of the planes of a page on to the map.

    number: how many planes the pages before had.
    """
    if deviations is None:
        return None
    stops = list(accumulate(len(plane.samples) for plane in planes))
    maps = [
        (deviations.page(number + place), slice(stop - len(plane.samples), stop))
        for place, (plane, stop) in enumerate(zip(planes, stops, strict=True))
    ]

    def output(start: int, values: np.ndarray, deviation: np.ndarray) -> None:
        for rows, columns in maps:
            rows(start, deviation[..., columns])

    return output


def channels_of(
    stack: Stack,
    chosen: Iterable[Plane],
    encoding: str,
    models: Models,
    around: Surroundings,
    number: int | None,
) -> Channels:
    """What is to be known of each gray channel; nothing of pictures in colour.

    around: the planes beside others, so many on each side of which are to help; None: as usual.
    """
    if encoding == "auto" and models.options().detector is not None:
        encoding = "counts"
    no_data = {(plane.series, plane.channel): plane.no_data for plane in reversed(stack.planes)}
    channels = {
        key: read_channel(planes, stack.dtype, encoding, models, no_data=no_data[key])
        for key, planes in planes_by_channel(stack, chosen).items()
    }
    counted = any(channel.calibration is not None for channel in channels.values())
    if not counted or not takes_neighbours(models.load("counts")):
        return channels
    return with_neighbours(channels, around, number)


def planes_by_channel(stack: Stack, chosen: Iterable[Plane]) -> dict[Key, Planes]:
    """All planes of each gray channel of which some are chosen."""
    wanted = {(plane.series, plane.channel) for plane in chosen if not plane.colour}
    return {
        key: [source_of(plane) for plane in stack.planes if (plane.series, plane.channel) == key]
        for key in sorted(wanted)
    }


def _windows(chosen: Sequence[Plane], channels: Channels, model: Model) -> list[NoisyPart]:
    """Windows of the chosen planes, encoded, with what is known of their noise."""
    windows: list[NoisyPart] = []
    for key, planes in groupby(chosen, key=lambda plane: (plane.series, plane.channel)):
        alike = list(planes)
        places = range(len(alike[0].samples))
        stored = [sample([source_of(p, i) for p in alike]) for i in places]
        channel = channels.get(key, Channel())
        if channel.calibration is not None:
            windows += [w for plane in stored[0] for w in channel.calibration.parts(plane, model)]
            continue
        encode = (channel.stretch or Display(alike[0].rows.dtype)).encode
        for values in encode(np.stack(stored, -1)):
            x = torch.from_numpy(values.transpose(2, 0, 1).copy())
            x = torch.where(x.isfinite(), x, torch.nan)
            windows.append((np.nan_to_num(values), judge_sample(x, model)))
    return windows


def _is_mosaic(plane: Plane, channels: Channels) -> bool:
    if plane.colour:
        return False
    channel = channels.get((plane.series, plane.channel), Channel())
    if channel.calibration is not None:
        return is_mosaic(channel.calibration.sample[0].nan_to_num())
    stored = sample([source_of(plane)])[0]
    coding = channel.stretch or Display(plane.rows.dtype)
    return is_mosaic(torch.from_numpy(coding.encode(stored)).nan_to_num())


def pages_of(chosen: Iterable[Plane]) -> list[list[Plane]]:
    """The planes that share their rows."""
    groups = groupby(chosen, key=lambda plane: (plane.series, plane.number))
    return [list(planes) for _, planes in groups]


def denoise_page(
    loaded: Loaded,
    channels: Channels,
    non_finite: NonFinite,
    out: StackWriter,
    planes: Sequence[Plane],
    around: Surroundings,
    *,
    progress: Progress = no_progress,
    std: StdOutput | None = None,
    wanted: tuple[int, int] | None = None,
) -> list[str]:
    """All chosen planes that share the rows of one page, or some rows of them; what was done.

    Args:
        around: the planes beside them.
        std: where their deviations go.
        wanted: the rows, from a whole line of chunks on.
    """
    with out.page(planes) as writer:
        page = of_planes(planes, writer, wanted)
        write = non_finite.counting(page.rows.write, list(page.samples), wanted[0] if wanted else 0)
        page = replace(page, rows=replace(page.rows, write=write))
        parts: list[Part] = []
        plans: list[Plan] = []
        for place, plane in enumerate(planes):
            channel = channels.get((plane.series, plane.channel), Channel())
            model, options = loaded[_domain(channel)]
            own = replace(page, samples=plane.samples, colour=plane.colour)
            if channel.padding is not None:
                own = replace(own, no_data=channel.padding)
            if channel.calibration is not None:
                known, others = channel.calibration, around.of(plane, channel)
                parts.append(part_of_counts(page, (place,), known, model, options, others))
                continue
            plan = plan_display(own, model, options, stretch=channel.stretch)
            places = tuple(range(place, place + len(plane.samples)))
            parts.append(replace(plan.part, page=replace(own, samples=page.samples), places=places))
            plans.append(plan)
        restore(page, parts, progress, std)
        around.release()
        if not plans:
            return [line for part in parts if (line := part.stripes())]
        lines = plans[0].describe().get("summary")
        said = list(lines) if isinstance(lines, list) else []
        return said if all("unchanged" in line for line in said) else [*plans[0].notes, *said]
