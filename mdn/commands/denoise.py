"""`mdn denoise`: images in, the same images out, only clean."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from mdn import __version__
from mdn.commands.denoise_file import Batch, about
from mdn.commands.request import Request, read_mask
from mdn.engine.device import choose_device
from mdn.errors import FileError, UsageError
from mdn.jobs.compute_slots import ComputeSlots
from mdn.jobs.dask_run import distribute
from mdn.jobs.job import BatchResult, Job, Report, Shard
from mdn.jobs.running import run_batch
from mdn.pipeline.plan import Adapter
from mdn.registry import store
from mdn.renders.sequence import Sequence as FrameSequence
from mdn.stacks import blocks
from mdn.stacks.blocks import Blocks

ON_GPU = 3  # pictures that a GPU computes at once: it waits while one is judged or comes back


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
        dask: the cluster to do it on, as `jobs.dask_cluster.connect`; None: in this process.
        shard: the share of the blocks of one large stack to do; None: all.

    Raises:
        ModelError: no such model, or its weights are damaged. That for another kind of file, or a
            second network, is loaded when the first file needs it.
        UsageError: a strength or detail outside 0..1, a device that is not there, a level of
            noise for a model that takes none, or a mask of --protect that cannot be read.
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
    slots = None
    # Frames of a sequence follow one another, and --max-memory counts what one file takes.
    if frames is None and request.options.max_memory is None:
        slots = ComputeSlots(ON_GPU if choose_device(request.device).type == "cuda" else 1)
    work = prepare(*how, slots)
    return run_batch(jobs, work, report, fail_fast=fail_fast, dry_run=dry_run, slots=slots)


def prepare(
    request: Request,
    frames: Sequence[Job] | None,
    with_std: bool,
    slots: ComputeSlots | None = None,
) -> Batch:
    """What denoises one file. Raises as `run`.

    Args:
        frames: the files, where they are those of one sequence.
        with_std: see Request.models.
        slots: of files that overlap.
    """
    models = request.models(with_std=with_std)
    models.check()
    sequence = FrameSequence(frames or ())
    mask = None if request.protect is None else read_mask(request.protect)
    return Batch(request, models, sequence, mask, slots or ComputeSlots())


def cut(
    batch: Batch, job: Job, report: Report, adapter: Adapter | None = None, *mark: object
) -> tuple[Blocks, dict[str, object]] | None:
    """The blocks of a large stack, and facts about it; None for other files.

    mark: what else changes the result. Raises FileError as `blocks.cut`.
    """
    request, models = batch.request, batch.models
    if batch.mask is not None:
        return None
    cards = [models.card(domain) for domain in ("display", "counts")]
    weights = [part.sha256 for card in cards for part in store.with_companions(card)]
    options = replace(models.options(), max_memory=None)
    form = request.planes, request.encoding, request.jpeg_quality
    blocks_of_file = blocks.cut(
        job,
        models,
        *form,
        (__version__, *form, request.planes_beside, options, weights, *mark),
        adapter,
        request.planes_beside,
    )
    return None if blocks_of_file is None else (blocks_of_file[0], about(batch) | blocks_of_file[1])


def denoise_share(batch: Batch, shard: Shard, job: Job, report: Report) -> dict[str, object]:
    """Denoise a share of the blocks of a large stack; whoever does the last one writes it."""
    parts_of_file = cut(batch, job, report)
    if parts_of_file is None:
        raise FileError(job.name, "--shard shares out files, or one large stack", "leave it out")
    parts, facts = parts_of_file
    own = [block for block in parts.missing if block % shard.count == shard.index - 1]
    non_finite = 0
    for count, number in enumerate(own):
        non_finite += parts.do(number, batch)
        report.progress(job, (count + 1) / (len(own) + 1))
    if non_finite:
        report.note(job, f"{non_finite} samples are NaN or infinite, and stay so")
    written = parts.finish_once()
    if written is None:
        left = f"{len(own)} of {len(parts.all)} blocks done here, {len(parts.missing)} are missing:"
        return facts | {"summary": [f"{left} the last shard writes the result"]}
    return facts | written
