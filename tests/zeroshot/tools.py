"""What the tests of zero-shot share: a report, pictures and a fit."""

import math

import numpy as np
import torch
from torch import Tensor

from mdn import noise
from mdn.jobs.job import Job
from mdn.pipeline.options import Options
from mdn.zeroshot.fit import Fit
from mdn.zeroshot.request import FitRequest

OPTIONS = Options(precision="fp32")


class Listener:
    """A report that remembers."""

    def __init__(self) -> None:
        self.statuses: list[str] = []
        self.outcomes: list = []

    def started(self, job, index: int, total: int) -> None: ...

    def progress(self, job, fraction: float, status: str = "") -> None:
        assert 0 <= fraction <= 1
        self.statuses.append(status)

    def note(self, job, line: str) -> None: ...

    def finished(self, outcome) -> None:
        self.outcomes.append(outcome)


def fit_of(**more) -> Fit:
    return Fit(FitRequest(options=OPTIONS, **more), Job(None, None, "x"), Listener())


def scene(side: int = 96) -> Tensor:
    grid = torch.linspace(0, 1, side)
    across, down = torch.meshgrid(grid, grid, indexing="xy")
    shade = 0.3 + 0.3 * torch.sin(9 * across) * torch.cos(7 * down)
    return torch.stack([shade, 0.8 - shade, 0.2 + 0.5 * shade])


def pages(
    kind: str, level: float, side: int = 192, seed: int = 0, of: torch.Tensor | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The scene, or `of` (C, H, W), as 8-bit pages (H, W, 3): clean, and with noise."""
    page = scene(side) if of is None else of
    noisy = noise.add(page, kind, level, torch.Generator().manual_seed(seed))
    clean, noisy = (
        (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy() for x in (page, noisy)
    )
    return clean, noisy


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * math.log10(255**2 / float(((a.astype(float) - b) ** 2).mean()))
