"""`mdn denoise`: images in, the same images out, only clean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from mdn import __version__
from mdn.batch.dask_run import distribute
from mdn.batch.files import describe, load, save
from mdn.batch.overlap import Turns
from mdn.batch.running import BatchResult, Job, Report, run_batch
from mdn.batch.shards import Shard
from mdn.batch.uncertainty import StdMap, describe_std, std_map
from mdn.commands.protect import check_size, read_mask
from mdn.commands.request import Request
from mdn.encoding import Display, Rec2100, coding_of
from mdn.engine import StdOutput, choose_device
from mdn.engine.memory import resident
from mdn.engine.run import SLACK
from mdn.errors import FileError, OutOfMemoryError, UsageError
from mdn.image import Image
from mdn.io.base import memory_limit
from mdn.pipeline import photo
from mdn.pipeline.adapter import Adapter
from mdn.pipeline.models import Models
from mdn.pipeline.photo import Restored
from mdn.renders import exr_job
from mdn.renders.sequence import Sequence as FrameSequence
from mdn.stacks import blocks, stack_job
from mdn.stacks.blocks import Blocks
from mdn.stacks.in_memory import denoise_counts

ON_GPU = 3  # pictures that a GPU computes at once: it waits while one is judged or comes back
MEASURED = "gray: if a microscope counted this light, try --encoding counts"


@dataclass(frozen=True)
class Batch:
    """What the files of one run share.

    Attributes:
        request: what is to be done with each.
        models: loaded when the first file needs them.
        sequence: of the frames of a sequence.
        mask: (H, W), 0..1: where pictures stay as they are; see commands.protect.
        turns: whose turn it is to compute.
    """

    request: Request
    models: Models
    sequence: FrameSequence
    mask: np.ndarray | None = None
    turns: Turns = field(default_factory=Turns)

    def __call__(self, job: Job, report: Report) -> dict[str, object]:
        """See `denoise_file`."""
        return denoise_file(self, job, report)


def run(
    jobs: Sequence[Job],
    request: Request,
    report: Report,
    *,
    fail_fast: bool = False,
    dry_run: bool = False,
    dask: str | None = None,
    shard: Shard | None = None,
) -> BatchResult:
    """Denoise each job's image.

    Args:
        dask: the cluster to do it on, as `batch.dask_cluster.connect`; None: in this process.
        shard: the share of the blocks of one large stack to do; None: all.

    Raises:
        ModelError: no such model, or its weights are damaged; nothing was written.
        UsageError: a strength or detail outside 0..1, a device that is not there, or a level of
            noise for a model that takes none.
        FileError: the mask of --protect cannot be read.
        OutOfMemoryError: the smallest tile does not fit.
    """
    request.renders.check()
    frames = jobs if request.renders.sequence or request.renders.motion else None
    if dask is not None and frames is not None:
        raise UsageError("--dask: the frames of a sequence share their noise; use --shard for them")
    how = request, frames, any(job.std_target is not None for job in jobs)
    if dask is not None:
        if shard is not None:
            raise UsageError("--shard and --dask both share out the blocks of a file: give one")
        prepared = partial(prepare, *how)
        return distribute(jobs, prepared, report, dask, cut, fail_fast=fail_fast, dry_run=dry_run)
    if shard is not None:
        share = partial(denoise_share, prepare(*how), shard)
        return run_batch(jobs, share, report, fail_fast=fail_fast, dry_run=dry_run)
    turns = None
    # Frames of a sequence follow one another, and --max-memory counts what one file takes.
    if frames is None and request.options.max_memory is None:
        turns = Turns(ON_GPU if choose_device(request.device).type == "cuda" else 1)
    work = prepare(*how, turns)
    return run_batch(jobs, work, report, fail_fast=fail_fast, dry_run=dry_run, turns=turns)


def prepare(
    request: Request, frames: Sequence[Job] | None, with_std: bool, turns: Turns | None = None
) -> Batch:
    """What denoises one file. Raises as `run`.

    Args:
        frames: the files, where they are those of one sequence.
        with_std: see Request.models.
        turns: of files that overlap.
    """
    models = request.models(with_std=with_std)
    models.check()
    sequence = FrameSequence(frames or (), {} if request.renders.sequence else None)
    mask = None if request.protect is None else read_mask(request.protect)
    return Batch(request, models, sequence, mask, turns or Turns())


def cut(
    batch: Batch, job: Job, report: Report, adapter: Adapter | None = None, *mark: object
) -> tuple[Blocks, dict[str, object]] | None:
    """The blocks of a large stack, and facts about it; None for other files.

    mark: what else changes the result. Raises FileError as `blocks.cut`.
    """
    request, models = batch.request, batch.models
    if batch.mask is not None:
        return None
    weights = [models.card(domain).sha256 for domain in ("display", "counts")]
    options = replace(models.options(), max_memory=None)
    form = request.planes, request.encoding, request.jpeg_quality
    found = blocks.cut(job, models, *form, (__version__, *form, options, weights, *mark), adapter)
    return None if found is None else (found[0], _about(batch) | found[1])


def denoise_share(batch: Batch, shard: Shard, job: Job, report: Report) -> dict[str, object]:
    """Denoise a share of the blocks of a large stack; whoever does the last one writes it."""
    found = cut(batch, job, report)
    if found is None:
        raise FileError(job.name, "--shard shares out files, or one large stack", "leave it out")
    parts, facts = found
    own = [each for each in parts.missing if each % shard.count == shard.index - 1]
    odd = 0
    for count, number in enumerate(own):
        odd += parts.do(number, batch)
        report.progress(job, (count + 1) / (len(own) + 1))
    if odd:
        report.note(job, f"{odd} samples are NaN or infinite, and stay so")
    written = parts.finish_once()
    if written is None:
        left = f"{len(own)} of {len(parts.all)} blocks done here, {len(parts.missing)} are missing:"
        return facts | {"summary": [f"{left} the last shard writes the result"]}
    return facts | written


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
    render = exr_job.is_render(job)
    if not (render or stack_job.kind_of(job) or batch.request.planes.given):
        return None
    with batch.turns.compute(alone=True):
        if render:
            return _render(batch, job, report)
        return _stack(batch, job, report, adapter)


def _render(batch: Batch, job: Job, report: Report) -> dict[str, object]:
    if batch.mask is not None:
        raise FileError(job.name, "--protect: is a render", "its layers are mixed elsewhere")
    if job.std_target is not None:
        raise FileError(job.name, "--save-std: has layers of its own, not one picture")
    request, models = batch.request, batch.models
    # The papers' protocol makes pictures as shown of renders.
    domain = "display" if request.renders.tonemap == "srgb" else "hdr"
    model, options = models.load(domain), models.options(domain)
    return exr_job.denoise(
        job, report, model, options, request.renders, batch.sequence, request.jpeg_quality
    )


def _stack(
    batch: Batch, job: Job, report: Report, adapter: Adapter | None
) -> dict[str, object] | None:
    """None where it is no stack, or better read as a picture."""
    request = batch.request
    if stack_job.kind_of(job):
        details = stack_job.denoise(
            job,
            report,
            batch.models,
            selection=request.planes,
            encoding=request.encoding,
            jpeg_quality=request.jpeg_quality,
            adapter=adapter,
            masked=batch.mask is not None,
        )
        if details is not None:
            return _about(batch) | details
    if request.planes.given:
        kinds = "from TIFF to TIFF or Zarr to Zarr"
        raise FileError(job.name, f"{request.planes.given} is for stacks, {kinds}")
    return None


def _picture(batch: Batch, job: Job, report: Report, adapter: Adapter | None) -> dict[str, object]:
    about = _about(batch)
    try:
        with batch.turns.beside_others():
            early = _load(batch, job)
    except OutOfMemoryError:
        early = None
    with ExitStack() as turn:
        turn.enter_context(batch.turns.compute(alone=early is None))
        image = early or _load(batch, job)
        original = image.pixels
        if batch.mask is not None:
            check_size(batch.mask, original.shape[1:3], job.name)
        if batch.models.options().strength > 0:
            pixels, more = _pages(batch, image, job, report, adapter)
            image, about = replace(image, pixels=pixels), about | more
        if early is not None:
            turn.close()  # the next one computes while this one is written
        quality, wanted = batch.request.jpeg_quality, batch.turns.check_write
        changed = save(
            job, image, report, jpeg_quality=quality, original=original, still_wanted=wanted
        )
    return describe(image) | about | {"changed": changed}


def _load(batch: Batch, job: Job) -> Image:
    with _capped(batch.models.options().max_memory):
        return load(job)


def _capped(cap: int | None) -> AbstractContextManager[None]:
    """Pictures that --max-memory cannot hold are refused before they are decoded."""
    return nullcontext() if cap is None else memory_limit(cap - resident() - SLACK, cap)


def _about(batch: Batch) -> dict[str, object]:
    return {"model": batch.models.card().name, "strength": batch.models.options().strength}


def _pages(
    batch: Batch, image: Image, job: Job, report: Report, adapter: Adapter | None
) -> tuple[np.ndarray, dict[str, object]]:
    """The pages of a picture in memory, denoised; facts about how."""
    pages = image.pixels
    domain = "counts" if batch.request.encoding == "counts" else "display"
    model, options = batch.models.load(domain), batch.models.options(domain)
    about: dict[str, object] = {"model": model.name}

    def progress(page: int, share: float) -> None:
        report.progress(job, (page + share) / len(pages))

    coding = coding_of(image)
    with std_map(job.std_target, pages.shape[:3], coding.white) as deviations:
        if domain == "counts":
            options.check_counts(job.name)
            if batch.mask is not None:
                raise FileError(job.name, "--protect: is read as counts", "--encoding display")
            result = denoise_counts(pages, model, options, progress, deviations, adapter)
        else:
            result = np.empty_like(pages)
            for index, page in enumerate(pages):
                std = _std_output(deviations, index, coding)
                share = partial(progress, index)
                restored = photo.restore(
                    page, model, options, share, std, adapter, coding, batch.mask
                )
                result[index] = restored.pixels
                about |= _about_noise(restored, batch.request.encoding) if index == 0 else {}
    return result, about | describe_std(deviations, job, report)


def _about_noise(restored: Restored, encoding: str) -> dict[str, object]:
    """Facts about the noise of a page; of a gray one, what else could be done about it."""
    facts = restored.describe()
    reading = None if restored.noise is None else restored.noise.reading
    gray = restored.pixels.shape[-1] == 1 and encoding == "auto"
    if gray and reading is not None and not reading.clean:
        lines = facts.get("summary")
        facts["summary"] = [*(lines if isinstance(lines, list) else []), MEASURED]
    return facts


def _std_output(
    deviations: StdMap | None, page: int, coding: Display | Rec2100
) -> StdOutput | None:
    """Where the deviations of a page go, in the unit of its samples."""
    if deviations is None:
        return None
    take: Callable[[int, np.ndarray], None] = deviations.page(page)
    return lambda start, values, deviation: take(start, coding.deviation(values, deviation))
