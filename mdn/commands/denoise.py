"""`mdn denoise`: images in, the same images out, only clean."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from mdn.batch.files import describe, load, save
from mdn.batch.running import BatchResult, Job, Report, run_batch
from mdn.batch.uncertainty import spread_map, told_of
from mdn.commands.denoiser import Denoiser as Denoiser
from mdn.commands.settings import Settings as Settings
from mdn.encoding import Display
from mdn.errors import FileError, UsageError
from mdn.image import Image
from mdn.renders.exr_job import may_take as is_render
from mdn.stacks import stack_job


def run(settings: Settings, report: Report) -> BatchResult:
    """Denoise each job's image.

    Raises:
        ModelError: no such model, or its weights are damaged; nothing was written.
        UsageError: a strength or detail outside 0..1, a device that is not there, or a level of
            noise for a model that is not told any.
        OutOfMemoryError: the smallest tile does not fit.
    """
    check(settings)
    settings.renders.check()
    denoiser = Denoiser(settings)
    denoiser.check_sigma()
    denoiser.check_passes()
    return run_batch(
        settings.jobs,
        functools.partial(work_on, denoiser),
        report,
        fail_fast=settings.fail_fast,
        dry_run=settings.dry_run,
    )


def check(settings: Settings) -> None:
    """Raises UsageError where a share is none."""
    for option in ("strength", "detail"):
        share = getattr(settings, option)
        if not 0 <= share <= 1:
            raise UsageError(f"--{option} {share:g}: choose a number from 0 to 1")


def work_on(denoiser: Denoiser, job: Job, report: Report) -> dict[str, object]:
    """Read, denoise and write one image; facts about it."""
    facts = _work_on(denoiser, job, report)
    for line in denoiser.news():
        report.note(job, line)
    return facts


def _work_on(denoiser: Denoiser, job: Job, report: Report) -> dict[str, object]:
    if is_render(job):
        if job.aside is not None:
            raise FileError(job.name, "--save-std: has layers of its own, not one picture")
        return denoiser.for_renders.renders.denoise(job, report)
    settings = denoiser.settings
    about: dict[str, object] = {"model": denoiser.card.name, "strength": settings.strength}
    if stack_job.kind_of(job) and (details := stack_job.denoise(denoiser, job, report)):
        return about | details
    if settings.choice.given:
        kinds = "from TIFF to TIFF or Zarr to Zarr"
        raise FileError(job.name, f"{settings.choice.given} is for stacks, {kinds}")
    image = load(job)
    original = image.pixels
    if settings.strength > 0:
        pages, more = _denoise_pages(denoiser, image, job, report)
        image, about = replace(image, pixels=pages), about | more
    changed = save(job, image, report, jpeg_quality=settings.quality, original=original)
    return describe(image) | about | {"changed": changed}


def _denoise_pages(
    denoiser: Denoiser, image: Image, job: Job, report: Report
) -> tuple[np.ndarray, dict[str, object]]:
    """The pages of a picture in memory; who did it, and what is to be told of their deviation."""
    pages, counts = image.pixels, denoiser.settings.encoding == "counts"
    denoiser.heard = None
    share = functools.partial(_tell_page, job, report, len(pages))
    with spread_map(job.aside, pages.shape[:3], Display(pages.dtype).white) as spread:
        if counts:
            denoiser = denoiser.for_counts
            result = stack_job.denoise_counts(denoiser, pages, share, spread)
        else:
            for line in denoiser.remarks(pages[0]):
                report.note(job, line)
            result = np.empty_like(pages)
            for index, page in enumerate(pages):
                rows = None if spread is None else spread.page(index)
                result[index] = denoiser.page(page, functools.partial(share, index), rows)
    about = {"model": denoiser.card.name} | denoiser.describe_noise()
    return result, about | told_of(spread, job, report)


def _tell_page(job: Job, report: Report, pages: int, index: int, share: float) -> None:
    """Turns the share done of one page into the share done of its file."""
    report.progress(job, (index + share) / pages)
