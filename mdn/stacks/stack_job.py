"""The job of one stack: plane by plane, rows by rows, into a copy of the file."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch

from mdn import io
from mdn.batch.running import Job, Report
from mdn.batch.uncertainty import Rows, StdMap, describe_std, std_map
from mdn.encoding import Display
from mdn.engine.run import RowStream, StdOutput
from mdn.errors import FileError
from mdn.io.stack import Plane, Stack, StackWriter
from mdn.io.tiff.rewrite import rewrite
from mdn.io.tiff.stack import is_tiff, open_stack
from mdn.io.zarr.rewrite import rewrite_zarr
from mdn.io.zarr.stack import ZARR, is_store, open_zarr
from mdn.noise.analysis.phases import is_mosaic
from mdn.pipeline import counts, photo
from mdn.pipeline.adapter import Adapter, Part
from mdn.pipeline.counts import Calibration
from mdn.pipeline.denoise_tiles import Progress, no_progress
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.known_part import known_part
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.pipeline.specialist import specialist
from mdn.registry.model import Model
from mdn.stacks.calibration import Region, calibrate, sample
from mdn.stacks.non_finite import NonFinite
from mdn.stacks.planes import PlaneSelection

MEASURED = "if a microscope counted this light, try --encoding counts"
FEW = "few counts a pixel: whole numbers lose faint light; save the file as 32-bit floats first"
MOSAIC = "looks like a colour camera's raw mosaic, whose colours would be lost: demosaic it first"

Maps = Sequence[tuple[Rows, slice]]
Channel = tuple[int, int]  # series and channel

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
) -> dict[str, object] | None:
    """Denoise a stack from file to file; None where it is better read as a photo.

    Args:
        encoding: display, counts or auto: counts for what a microscope measured.
        masked: whether --protect was given, which is for pictures only.

    Raises FileError: it cannot be read or written, or has no such planes.
    """
    assert job.source is not None
    assert job.target is not None
    open_it, rewrite_it = KINDS[kind_of(job)]
    with open_it(job.source, selection.axes, job.name) as stack:
        chosen = selection.of(stack)
        if not selection.given and stack.photo:
            return None
        if masked:
            raise FileError(
                job.name, "is a stack, and --protect is for single pictures", "leave it out"
            )
        non_finite, details = NonFinite(), stack.describe() | {"planes": len(chosen)}
        if models.options().strength == 0:
            chosen = []
        known = calibrations(stack, chosen, encoding)
        details |= about(known, models, job.name)
        said: list[str] = []
        if chosen:
            if _is_mosaic(chosen[0], known):
                report.note(job, MOSAIC)
            loaded = model_for(stack, chosen, known, models, adapter)
        white = Display(stack.dtype).white
        with (
            rewrite_it(stack, job.target, jpeg_quality, overwrite=job.overwrite) as out,
            std_map(job, _one_size(stack, chosen, job), white) as deviations,
        ):
            groups = groupby(enumerate(chosen), key=lambda each: (each[1].series, each[1].number))
            pages = [list(group) for _, group in groups]
            for index, page in enumerate(pages):
                planes, maps = [plane for _, plane in page], _maps(deviations, page)
                share = lambda done, index=index: report.progress(job, (index + done) / len(pages))  # noqa: E731
                lines = denoise_page(*loaded, known, non_finite, out, planes, share, maps)
                said = said or lines
        if non_finite.count:
            report.note(job, non_finite.in_words())
        if said:
            gray = encoding == "auto" and stack.dtype.itemsize == 1 and not stack.colour
            noisy = not said[0].startswith("no noise")
            details["summary"] = [*said, *([MEASURED] if gray and noisy else [])]
        return details | describe_std(deviations, job, report)


def about(known: dict[Channel, Calibration], models: Models, name: str) -> dict[str, Any]:
    """Facts about how the planes are taken, by what `calibrations` found of their channels.

    Raises FileError where counts are to be treated as colours.
    """
    if not known:
        return {"encoding": "display"}
    models.options("counts").check_counts(name)
    noise = {str(key[1]): each.describe() for key, each in known.items()}
    facts = {"encoding": "counts", "model": models.card("counts").name, "noise": noise}
    options = models.options("counts")
    if options.sigma is not None:
        return facts
    words = {key[1]: each.in_words(options.removed) for key, each in known.items()}
    several = len(words) > 1
    said = [f"channel {key}: {line}" if several else line for key, line in words.items()]
    if any(each.coding.few and each.noise.blend_weight for each in known.values()):
        said.append(FEW)
    return facts | {"summary": said}


def model_for(
    stack: Stack,
    chosen: Sequence[Plane],
    known: dict[Channel, Calibration],
    models: Models,
    adapter: Adapter | None,
) -> tuple[Model, Options]:
    """The model for the planes, fitted to them if there is an adapter, and its options."""
    domain = "counts" if known else "display"
    model, options = models.load(domain), models.options(domain)
    if adapter is not None:
        model = adapter.to_parts(partial(_parts, stack, chosen, known, model), model)
    return model, options


def _one_size(stack: Stack, chosen: Sequence[Plane], job: Job) -> tuple[int, int, int]:
    """Planes, height and width of the map of deviations, which has a page for each plane."""
    sizes = {plane.shape[:2] for plane in chosen}
    if job.std_target is not None and len(sizes) > 1:
        problem = "--save-std: its planes differ in size"
        raise FileError(stack.name, problem, "choose planes of one size")
    return (len(chosen), *(sizes.pop() if sizes else (0, 0)))


def _maps(deviations: StdMap | None, group: Sequence[tuple[int, Plane]]) -> Maps:
    """For each plane of a page: where its deviations go, and its place among the samples."""
    maps: list[tuple[Rows, slice]] = []
    start = 0
    for number, plane in group:
        stop = start + len(plane.samples)
        if deviations is not None:
            maps.append((deviations.page(number), slice(start, stop)))
        start = stop
    return maps


def _std_output(maps: Maps, unit: float = 1.0) -> StdOutput | None:
    """Hands deviations on to the maps; unit: the stored value of an encoded 1."""

    def output(start: int, values: np.ndarray, deviation: np.ndarray) -> None:
        for rows, columns in maps:
            rows(start, deviation[..., columns] * np.float32(unit))

    return output if maps else None


def calibrations(
    stack: Stack, chosen: Iterable[Plane], encoding: str
) -> dict[Channel, Calibration]:
    """What is to be known of each channel; nothing for pictures as shown."""
    if encoding == "display" or (encoding == "auto" and not stack.measured):
        return {}
    wanted = {(plane.series, plane.channel) for plane in chosen if not plane.colour}
    return {
        key: calibrate(
            [
                (plane.shape[:2], _region(plane, plane.samples[0]))
                for plane in stack.planes
                if (plane.series, plane.channel) == key
            ],
            stack.dtype,
        )
        for key in sorted(wanted)
    }


def _parts(
    stack: Stack, chosen: Sequence[Plane], known: dict[Channel, Calibration], model: Model
) -> list[Part]:
    """Windows of the chosen planes, encoded, with what is known of their noise."""
    parts: list[Part] = []
    for key, planes in groupby(chosen, key=lambda plane: (plane.series, plane.channel)):
        alike = list(planes)
        places = range(len(alike[0].samples))
        stored = [sample([(p.shape[:2], _region(p, p.samples[i])) for p in alike]) for i in places]
        if key in known:
            parts += [part for plane in stored[0] for part in known[key].parts(plane, model)]
            continue
        encode = Display(alike[0].rows.dtype).encode
        for values in encode(np.stack(stored, -1)):
            shown = _known(values.transpose(2, 0, 1))
            noise = judge_sample(torch.from_numpy(shown.copy()), model)
            parts.append((values, noise))
    return parts


def _known(sample: np.ndarray, opaque: np.ndarray | None = None) -> np.ndarray:
    """A sample (C, h, w) of a picture as shown, without what is no number, or transparent."""
    known = np.isfinite(sample).all(0)
    known = known if opaque is None else known & opaque
    part = None if known.all() else known_part([sample], [known])
    return np.nan_to_num(sample, posinf=1, neginf=0) if part is None else part


def _is_mosaic(plane: Plane, known: dict[Channel, Calibration]) -> bool:
    if plane.colour:
        return False
    if each := known.get((plane.series, plane.channel)):
        return is_mosaic(each.sample[0])
    stored = sample([(plane.shape[:2], _region(plane, plane.samples[0]))])[0]
    return is_mosaic(torch.from_numpy(Display(plane.rows.dtype).encode(stored)))


def _region(plane: Plane, index: int) -> Region:
    def read(top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return plane.rows.read(top, bottom, left, right)[..., index]

    return read


def denoise_page(
    model: Model,
    options: Options,
    known: dict[Channel, Calibration],
    non_finite: NonFinite,
    out: StackWriter,
    planes: Sequence[Plane],
    progress: Progress = no_progress,
    maps: Maps = (),
    wanted: tuple[int, int] | None = None,
) -> list[str]:
    """All chosen planes that share the rows of one page, or some rows of them; what was done.

    maps: where their deviations go. wanted: the rows, from a whole line of chunks on.
    """
    first = planes[0]
    samples = [index for plane in planes for index in plane.samples]
    rows = first.rows
    # A line of strips or tiles is held as read, as written, and as encoded.
    held = 4 * min(rows.block_height, rows.height) * rows.row_bytes
    reserved = held if rows.raw_offset is None else 0
    with out.page(planes) as writer:
        write = non_finite.counting(writer.write, samples, wanted[0] if wanted else 0)
        stream = RowStream(
            rows.height, rows.width, len(samples), rows.read, write, rows.row_bytes,
            reserved, wanted=wanted,
        )  # fmt: skip
        if known:
            channels = [known[plane.series, plane.channel] for plane in planes]
            std = _std_output(maps)
            counts.restore(stream, samples, channels, model, options, progress, std)
            return []
        coding = Display(rows.dtype)
        read = samples if first.alpha is None else [*samples, first.alpha]
        parts = [sample([(first.shape[:2], _region(first, i))])[0] for i in read]
        opaque = None if first.alpha is None else parts.pop() > 0
        shown = _known(coding.encode(np.stack(parts)), opaque)
        noise = judge_sample(torch.from_numpy(shown), model, options.sigma)
        stream = replace(stream, std_output=_std_output(maps, coding.white))
        model = specialist(model, noise)
        photo.restore_rows(
            stream, rows.dtype, samples, first.colour, noise, model, options, progress
        )
        return noise.in_words(options.removed) if model.abilities.takes_sigma else []
