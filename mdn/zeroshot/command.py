"""`mdn zeroshot`: a description of the noise, or the model's layers, fitted to each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mdn.commands import denoise
from mdn.commands.denoise_file import Batch, denoise_file
from mdn.commands.request import Request
from mdn.errors import FileError
from mdn.jobs.dask_run import distribute
from mdn.jobs.job import BatchResult, Job, Outcome, Report
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.renders import exr_job
from mdn.renders.sequence import Sequence as FrameSequence
from mdn.stacks.blocks import Blocks
from mdn.zeroshot.fit import Fit, PlainIsBetterError
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
    plain = None
    if fit.preset in FILLERS:
        plain = replace(request, model=None).models()
        request = replace(request, model=request.model or FILLERS[fit.preset])
    models = request.models(may_fill=True)
    models.check()
    return ZeroshotBatch(request, models, FrameSequence(), fit=fit, plain=plain)


@dataclass(frozen=True)
class ZeroshotBatch(Batch):
    """What the files of one run share."""

    fit: FitRequest = field(default_factory=FitRequest)
    plain: Models | None = None  # of mdn denoise, which a preset of MPI must be better than

    def __call__(self, job: Job, report: Report) -> dict[str, object]:
        """Read one image, fit, denoise and write it; facts about it."""
        if exr_job.is_render(job):
            raise FileError(job.name, "is a render, and this is for pictures", "use mdn denoise")
        rival = None if self.plain is None else partial(_denoised, self.plain)
        fit = Fit(self.fit, job, report, rival)
        try:
            facts = denoise_file(self, job, _Rest(report), fit)
        except PlainIsBetterError:
            assert self.plain is not None
            plain = Batch(self.request, self.plain, self.sequence, self.mask, self.slots)
            facts = denoise_file(plain, job, _Rest(report))
        facts |= fit.describe()
        fit.save()
        return facts


def _denoised(models: Models, values: Tensor) -> Tensor:
    """What mdn denoise makes of a picture (C, H, W) in 0..1."""
    page = (values.cpu().clamp(0, 1) * 65535).round().numpy().astype(np.uint16)
    options = replace(models.options(), strength=1.0)
    result = restore_page(page.transpose(1, 2, 0), models.load(), options).pixels
    return torch.from_numpy(result.astype(np.float32) / 65535).permute(2, 0, 1)


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
