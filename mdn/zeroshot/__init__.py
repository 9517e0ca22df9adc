"""`mdn zeroshot`: a model fitted to each picture before it denoises it, no clean one needed."""

from __future__ import annotations

from collections.abc import Sequence

from mdn.batch.running import BatchResult, Job, Outcome, Report, run_batch
from mdn.commands.denoise import Batch, denoise_file
from mdn.commands.request import Request
from mdn.errors import FileError, UsageError
from mdn.renders import exr_job
from mdn.renders.sequence import Sequence as FrameSequence
from mdn.zeroshot.fitting import FITTING, FitRequest, Fitting
from mdn.zeroshot.plan import FitOptions, Plan, make_plan

__all__ = ["FitOptions", "FitRequest", "Fitting", "Plan", "make_plan", "run"]


def run(
    jobs: Sequence[Job],
    request: Request,
    fit: FitRequest,
    report: Report,
    *,
    fail_fast: bool = False,
    dry_run: bool = False,
) -> BatchResult:
    """Fit and denoise each job's image.

    Raises:
        UsageError: options of the fit that make no sense, or a checkpoint for several images.
        KeyboardInterrupt: the fit was interrupted; the best so far has been written.
        And as denoise.run.
    """
    make_plan(fit.fit, None)  # what is wrong with the options is said before any work
    _check(fit, len(jobs))
    models = request.models(may_fill=True)
    models.check()
    batch = Batch(request, models, FrameSequence())
    leaving = _Leaving(report)

    def work(job: Job, report: Report) -> dict[str, object]:
        if exr_job.is_render(job):
            raise FileError(job.name, "is a render, and this is for pictures", "use mdn denoise")
        fitting = leaving.fitting = Fitting(fit, job, report)
        return denoise_file(batch, job, _Rest(report), fitting) | fitting.describe()

    return run_batch(jobs, work, leaving, fail_fast=fail_fast, dry_run=dry_run)


class _Rest:
    """A report of what comes after the fit."""

    def __init__(self, report: Report) -> None:
        self.started, self.note, self.finished = report.started, report.note, report.finished
        self._report = report

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        """See Report."""
        self._report.progress(job, FITTING + (1 - FITTING) * fraction, status)


class _Leaving:
    """A report that ends the batch after the picture whose fit was interrupted."""

    fitting: Fitting | None = None

    def __init__(self, report: Report) -> None:
        self.started, self.progress, self.note = report.started, report.progress, report.note
        self._report = report

    def finished(self, outcome: Outcome) -> None:
        """See Report."""
        self._report.finished(outcome)
        if self.fitting is not None and self.fitting.interrupted:
            raise KeyboardInterrupt


def _check(asked: FitRequest, jobs: int) -> None:
    fit = asked.fit
    problems = (
        (fit.iters is not None and fit.iters < 0, "--iters must be at least 0"),
        (fit.lr is not None and not 0 < fit.lr <= 1, "--lr must lie between 0 and 1"),
        (fit.ratio is not None and not 0 < fit.ratio < 1, "--mask-ratio must lie between 0 and 1"),
        (fit.ema is not None and not 0 <= fit.ema < 1, "--ema must lie in [0, 1)"),
        (fit.shuffle is not None and not 1 <= fit.shuffle <= 4, "--pixel-shuffle takes 1 to 4"),
        (asked.checkpoint is not None and jobs != 1, "--checkpoint is for one image at a time"),
        (asked.resume and asked.checkpoint is None, "--resume needs --checkpoint FILE"),
    )
    for wrong, message in problems:
        if wrong:
            raise UsageError(message)
