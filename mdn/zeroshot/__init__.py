"""`mdn zeroshot`: a net fitted to each picture before it denoises it, no clean one needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mdn.batch.running import BatchResult, Job, Outcome, Report, run_batch
from mdn.commands import denoise
from mdn.errors import FileError, UsageError
from mdn.renders.exr_job import may_take as is_render
from mdn.zeroshot.adapter import FITTING, ZeroShot
from mdn.zeroshot.plan import Plan, Wishes, make_plan

__all__ = ["Plan", "Settings", "Wishes", "ZeroShot", "make_plan", "run"]


@dataclass(frozen=True)
class Settings(denoise.Settings):
    """What `mdn zeroshot` was asked for; as for `mdn denoise`, and:

    Attributes:
        wishes: about the fit.
        time_limit: seconds that the fit of one picture may take, or None.
        checkpoint: file that the fit is kept in, or None.
        resume: whether to go on from it.
    """

    wishes: Wishes = field(default_factory=Wishes)
    time_limit: float | None = None
    checkpoint: Path | None = None
    resume: bool = False


def run(settings: Settings, report: Report) -> BatchResult:
    """Fit and denoise each job's image.

    Raises:
        UsageError: a wish that makes no sense, or a checkpoint for several images.
        KeyboardInterrupt: the fit was interrupted; the best so far has been written.
        And as denoise.run.
    """
    make_plan(settings.wishes, None)  # what is wrong with the wishes is said before any work
    _check(settings)
    denoise.check(settings)
    shot = ZeroShot(settings, report)
    shot.check_sigma()

    def work(job: Job, report: Report) -> dict[str, object]:
        if is_render(job):
            raise FileError(job.name, "is a render, and this is for pictures", "use mdn denoise")
        shot.begin(job)
        return denoise.work_on(shot, job, _Rest(report)) | shot.describe()

    return run_batch(
        settings.jobs,
        work,
        _Leaving(report, shot),
        fail_fast=settings.fail_fast,
        dry_run=settings.dry_run,
    )


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

    def __init__(self, report: Report, shot: ZeroShot) -> None:
        self.started, self.progress, self.note = report.started, report.progress, report.note
        self._report, self._shot = report, shot

    def finished(self, outcome: Outcome) -> None:
        """See Report."""
        self._report.finished(outcome)
        self._shot.leave_if_interrupted()


def _check(settings: Settings) -> None:
    wishes = settings.wishes
    problems = (
        (wishes.iters is not None and wishes.iters < 0, "--iters must be at least 0"),
        (wishes.lr is not None and not 0 < wishes.lr <= 1, "--lr must lie between 0 and 1"),
        (
            wishes.ratio is not None and not 0 < wishes.ratio < 1,
            "--mask-ratio must lie between 0 and 1",
        ),
        (wishes.ema is not None and not 0 <= wishes.ema < 1, "--ema must lie in [0, 1)"),
        (
            wishes.shuffle is not None and not 1 <= wishes.shuffle <= 4,
            "--pixel-shuffle takes 1 to 4",
        ),
        (
            settings.checkpoint is not None and len(settings.jobs) != 1,
            "--checkpoint is for one image at a time",
        ),
        (settings.resume and settings.checkpoint is None, "--resume needs --checkpoint FILE"),
    )
    for wrong, message in problems:
        if wrong:
            raise UsageError(message)
