"""What `mdn denoise` does to one file."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from mdn.commands.request import Request, check_size
from mdn.encoding import Display, Rec2100, coding_of
from mdn.encoding.counts import OPTIONS
from mdn.engine.memory import resident
from mdn.engine.run import SLACK, StdOutput
from mdn.errors import FileError, OutOfMemoryError
from mdn.image import Image
from mdn.io import is_lossy, read_image
from mdn.io.base import memory_limit
from mdn.jobs.compute_slots import ComputeSlots
from mdn.jobs.files import StdMap, describe, describe_std, load, save, std_map
from mdn.jobs.job import Job, Report
from mdn.noise.analysis.phases import is_mosaic
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.in_memory import Picture, treatment
from mdn.pipeline.models import Models
from mdn.pipeline.neighbours import NUMBER, indices
from mdn.pipeline.plan import Adapter
from mdn.renders import exr_job
from mdn.renders.sequence import Sequence as FrameSequence
from mdn.stacks import stack_job
from mdn.stacks.stack_job import ALONE, MEASURED, MOSAIC

DARK = 2**15  # of 16 bits, that cameras of 12 leave empty
MIDDLE = 512  # pixels to each side of the middle


@dataclass(frozen=True)
class Batch:
    """What the files of one run share."""

    request: Request  # what is to be done with each
    models: Models  # loaded when the first file needs them
    sequence: FrameSequence  # of the frames of a sequence
    # (H, W), 0..1: where pictures stay as they are; see commands.request
    mask: np.ndarray | None = None
    slots: ComputeSlots = field(default_factory=ComputeSlots)  # whose turn it is to compute

    def __call__(self, job: Job, report: Report) -> dict[str, object]:
        """See `denoise_file`."""
        return denoise_file(self, job, report)


def denoise_file(
    batch: Batch, job: Job, report: Report, adapter: Adapter | None = None
) -> dict[str, object]:
    """Read, denoise and write one image; facts about it.

    adapter: fits the model to it first.
    """
    facts = _streamed(batch, job, report, adapter) or _picture(batch, job, report, adapter)
    for line in batch.models.notices():
        report.note(job, line)
    return facts


def _streamed(
    batch: Batch, job: Job, report: Report, adapter: Adapter | None
) -> dict[str, object] | None:
    """Renders and stacks, which are read and written while they are computed; None for others."""
    render, request = exr_job.is_render(job), batch.request
    stack = "" if render else stack_job.kind_of(job)
    if request.planes.given and not stack:
        kinds = "from TIFF to TIFF or Zarr to Zarr"
        raise FileError(job.name, f"{request.planes.given} is for stacks, {kinds}")
    if request.renders.given and not render:
        report.note(job, f"{request.renders.given} is for EXR files and does nothing here")
    if render:
        return batch.slots.run(partial(_render, batch, job, report), alone=True)
    if stack:
        return batch.slots.run(partial(_stack, batch, job, report, adapter), alone=True)
    return None


def _render(batch: Batch, job: Job, report: Report) -> dict[str, object]:
    if batch.mask is not None:
        raise FileError(job.name, "is a render, and --protect is for pictures", "leave it out")
    if batch.models.options().detector is not None:
        raise FileError(job.name, f"is a render, and {OPTIONS} are for counts", "leave them out")
    if job.std_target is not None:
        raise FileError(job.name, "is a render, and --save-std is for pictures", "leave it out")
    request, models = batch.request, batch.models
    # The papers' protocol makes pictures as shown of renders.
    shown = request.renders.tonemap == "srgb" and not models.named
    domain = "display" if shown else "hdr"
    model, options = models.load(domain), models.options(domain)
    options.check(model)
    return exr_job.denoise(
        job, report, model, options, request.renders, batch.sequence, request.jpeg_quality
    )


def _stack(
    batch: Batch, job: Job, report: Report, adapter: Adapter | None
) -> dict[str, object] | None:
    """None where it is better read as a picture."""
    request = batch.request
    details = stack_job.denoise(
        job,
        report,
        batch.models,
        selection=request.planes,
        encoding=request.encoding,
        jpeg_quality=request.jpeg_quality,
        adapter=adapter,
        masked=batch.mask is not None,
        neighbours=request.planes_beside,
    )
    return None if details is None else about(batch) | details


def _picture(batch: Batch, job: Job, report: Report, adapter: Adapter | None) -> dict[str, object]:
    try:
        with batch.slots.beside_others():
            early = _load(batch, job)
    except OutOfMemoryError:  # it is read and written when no other file is in hand
        return batch.slots.run(
            lambda: _saved(batch, job, report, *_denoised(batch, job, report, adapter)), alone=True
        )
    results = batch.slots.run(partial(_denoised, batch, job, report, adapter, early))
    return _saved(batch, job, report, *results)


Results = tuple[Image, np.ndarray, dict[str, object]]  # the result, the pixels as read, facts


def _denoised(
    batch: Batch, job: Job, report: Report, adapter: Adapter | None, image: Image | None = None
) -> Results:
    """image: read already, or None."""
    image, facts = image or _load(batch, job), about(batch)
    original = image.pixels
    if batch.mask is not None:
        check_size(batch.mask, original.shape[1:3], job.name)
    if batch.models.options().strength > 0:
        pixels, more = _pages(batch, image, job, report, adapter)
        image, facts = replace(image, pixels=pixels), facts | more
    return image, original, facts


def _saved(
    batch: Batch,
    job: Job,
    report: Report,
    image: Image,
    original: np.ndarray,
    facts: dict[str, object],
) -> dict[str, object]:
    changed = save(
        job,
        image,
        report,
        jpeg_quality=batch.request.jpeg_quality,
        original=original,
        recode=batch.request.recode,
        still_wanted=batch.slots.check_write,
    )
    return describe(image) | facts | {"changed": changed}


def _load(batch: Batch, job: Job) -> Image:
    """The picture; one that --max-memory cannot hold is refused before it is decoded."""
    cap = batch.models.options().max_memory
    with nullcontext() if cap is None else memory_limit(cap - resident() - SLACK, cap):
        return load(job)


def about(batch: Batch) -> dict[str, object]:
    """Facts that hold for all files: the model and the strength."""
    return {"model": batch.models.card().name, "strength": batch.models.options().strength}


def _pages(
    batch: Batch, image: Image, job: Job, report: Report, adapter: Adapter | None
) -> tuple[np.ndarray, dict[str, object]]:
    """The pages of a picture in memory, denoised; facts about how."""
    pages, coding, encoding = image.pixels, coding_of(image), batch.request.encoding
    picture = Picture(
        pages,
        image.alpha,
        image.alpha_associated,
        image.no_data,
        coding,
        batch.mask,
    )
    how = treatment(picture, batch.models, encoding)
    if batch.request.neighbours and not job.beside:
        report.note(job, ALONE)
    if how.calibrations and job.beside and adapter is None:
        how = how.with_neighbours(_beside(batch, image, job))
    facts: dict[str, object] = {"model": how.model.name}
    if how.calibrations:
        named = {(0, number): channel for number, channel in enumerate(how.channels)}
        facts |= stack_job.about(named, batch.models, job.name)
    elif pages.shape[-1] == 1 and _is_mosaic(pages[0], coding):
        report.note(job, MOSAIC)

    def progress(page: int, share: float) -> None:
        report.progress(job, (page + share) / len(pages))

    with std_map(job, pages.shape[:3], coding.white) as deviations:
        result, plan = how.restore(progress, partial(_std_output, deviations), adapter)
    if plan is not None:
        facts |= plan.describe()
        counted = "" if _from_a_camera(image) else "; or try --encoding counts"
        for line in plan.notes:
            report.note(job, line + counted)
        if counted and encoding == "auto" and _may_be_measured(pages, plan.noise):
            lines = facts.get("summary")
            facts["summary"] = [*(lines if isinstance(lines, list) else []), MEASURED]
    return result, facts | describe_std(deviations, job, report)


def _from_a_camera(image: Image) -> bool:
    """Whether a file is a photograph by its format or by what it carries: no hint at microscopes.

    Instruments write TIFF or PNG, without EXIF and without a colour profile.
    """
    return bool(is_lossy(image) or image.meta.exif or image.meta.icc)


def _beside(batch: Batch, image: Image, job: Job) -> list[list[np.ndarray]]:
    """For each page of a frame those of the frames beside it; none where there are none."""
    number = batch.request.planes_beside
    number = NUMBER if number is None else number
    others: list[np.ndarray] = []
    offsets = sorted([0, *(offset for offset, _ in job.beside)])
    chosen = {offsets[i] for i in indices(offsets.index(0), len(offsets), number)}
    for offset, path in job.beside:
        if offset in chosen:
            with suppress(FileError):  # its own turn reports it
                pixels = read_image(path).pixels
                if pixels.shape == image.pixels.shape and pixels.dtype == image.pixels.dtype:
                    others.append(pixels)
    if not others or len(image.pixels) > 1:
        return []
    return [[pixels[0] for pixels in others]]


def _is_mosaic(page: np.ndarray, coding: Display | Rec2100) -> bool:
    """Whether a gray page (H, W, 1) is a raw mosaic, by its middle."""
    rows, columns = (
        slice(max(0, side // 2 - MIDDLE) // 2 * 2, side // 2 + MIDDLE) for side in page.shape[:2]
    )
    return is_mosaic(torch.from_numpy(coding.encode(page[rows, columns])[..., 0]))


def _may_be_measured(pages: np.ndarray, noise: NoiseConditioning | None) -> bool:
    """Whether pages may come from a microscope: gray ones with noise, though it does not look like
    it, and three channels that a library took for colours, and whose noise is small beside white.
    """
    reading = None if noise is None else noise.reading
    if reading is None:
        return False
    dark = pages.dtype == np.uint16 and pages.max() < DARK
    return not reading.clean if pages.shape[-1] == 1 else bool(dark and reading.clean)


def _std_output(deviations: StdMap | None, page: int) -> StdOutput | None:
    """Where the deviations of a page go, in the unit of its samples."""
    if deviations is None:
        return None
    take: Callable[[int, np.ndarray], None] = deviations.page(page)
    return lambda start, values, deviation: take(start, deviation)
