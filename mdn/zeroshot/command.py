"""`mdn zeroshot`: a description of the noise, or the model's layers, fitted to each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from mdn.commands import denoise
from mdn.commands.denoise_file import Batch, denoise_file
from mdn.commands.request import Request
from mdn.errors import FileError
from mdn.jobs.dask_run import distribute
from mdn.jobs.job import BatchResult, Job, Outcome, Report
from mdn.renders import exr_job
from mdn.renders.sequence import Sequence as FrameSequence
from mdn.stacks.blocks import Blocks
from mdn.zeroshot.fit import Fit
from mdn.zeroshot.layers import FITTING
from mdn.zeroshot.request import FILLERS, FitRequest


def run(
    jobs: Sequence[Job],
    request: Request,
    fit: FitRequest,
    report: Report,
    *,
    fail_fast: bool = False,
    dry_run: bool = False,
    dask: str | None = None,
) -> BatchResult:
    """Fit and denoise each job's image.

    dask: the cluster to do it on, as `batch.dask_cluster.connect`; None: in this process.

    Raises:
        UsageError: options of the fit that make no sense, or a checkpoint for several images.
        KeyboardInterrupt: the fit was interrupted; the best so far has been written.
        And as denoise.run.
    """
    fit.check(len(jobs))  # what is wrong with the options is said before any work
    leaving = _Leaving(report)
    work = partial(prepare, request, fit)
    return distribute(jobs, work, leaving, dask, cut, fail_fast=fail_fast, dry_run=dry_run)


def prepare(request: Request, fit: FitRequest) -> ZeroshotBatch:
    """What fits a model to one file and denoises it. Raises as `run`."""
    if request.model is None and fit.preset in FILLERS:
        request = replace(request, model=FILLERS[fit.preset])
    models = request.models(may_fill=True)
    models.check()
    return ZeroshotBatch(request, models, FrameSequence(), fit=fit)


@dataclass(frozen=True)
class ZeroshotBatch(Batch):
    """What the files of one run share."""

    fit: FitRequest = field(default_factory=FitRequest)

    def __call__(self, job: Job, report: Report) -> dict[str, object]:
        """Read one image, fit, denoise and write it; facts about it."""
        if exr_job.is_render(job):
            raise FileError(job.name, "is a render, and this is for pictures", "use mdn denoise")
        fit = Fit(self.fit, job, report)
        facts = denoise_file(self, job, _Rest(report), fit) | fit.describe()
        fit.save()
        return facts


def cut(batch: ZeroshotBatch, job: Job, report: Report) -> tuple[Blocks, dict[str, object]] | None:
    """As denoise.cut: one fit for all blocks of a large stack."""
    fit = Fit(batch.fit, job, report)
    parts = denoise.cut(batch, job, report, fit)
    if parts is None:
        return None
    fit.save()
    return parts[0], parts[1] | fit.describe()


class _Rest:
    """A report of what comes after the fit."""

    def __init__(self, report: Report) -> None:
        self.started, self.note, self.finished = report.started, report.note, report.finished
        self._report = report

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        self._report.progress(job, FITTING + (1 - FITTING) * fraction, status)


class _Leaving:
    """A report that ends the batch after the picture whose fit was interrupted."""

    def __init__(self, report: Report) -> None:
        self.started, self.progress, self.note = report.started, report.progress, report.note
        self._report = report

    def finished(self, outcome: Outcome) -> None:
        self._report.finished(outcome)
        if outcome.details.get("ended") == "interrupted":
            raise KeyboardInterrupt
