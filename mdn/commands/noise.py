"""`mdn noise`: adds a known noise to images, for demonstrations, tests and training pairs."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch

from mdn import noise
from mdn.encoding import Detector, Display
from mdn.jobs.dask_run import distribute
from mdn.jobs.files import describe, load, output_format, save
from mdn.jobs.job import BatchResult, Job, Report

COUNTED = "poisson-gaussian"  # the type that a detector can be told for
LITTLE = 1 / 8  # of what the dtype holds


@dataclass(frozen=True)
class NoiseRequest:
    """What `mdn noise` was asked for; level None takes the type's default."""

    kind: str
    level: float | None = None
    seed: int = 0
    jpeg_quality: int = 95
    peak: float | None = None  # photons of a white sample; None takes the type's own
    detector: Detector | None = None  # of COUNTED, in place of a level: see `count`


def run(
    jobs: Sequence[Job],
    request: NoiseRequest,
    report: Report,
    *,
    fail_fast: bool = False,
    dry_run: bool = False,
    dask: str | None = None,
) -> BatchResult:
    """Adds the noise to each job's image.

    dask: the cluster to do it on, as `jobs.dask_cluster.connect`; None: in this process.

    Raises UsageError: no such noise, or a level outside its limits; nothing was written.
    """
    kind = noise.get(request.kind)
    level = kind.default if request.level is None else request.level
    kind.check(level)
    kind.check_peak(request.peak)
    work = partial(partial, add_to_file, replace(request, level=level))
    return distribute(jobs, work, report, dask, fail_fast=fail_fast, dry_run=dry_run)


def add_to_file(request: NoiseRequest, job: Job, report: Report) -> dict[str, object]:
    """Reads one image, adds the noise and writes it; facts about it. request.level is a number."""
    assert request.level is not None
    image, seed = load(job), draw_seed(request.seed, job)
    generator = torch.Generator().manual_seed(seed)
    pages, peaks = [], []
    for index, page in enumerate(image.pixels):
        if request.detector is not None:
            pages.append(count(page, request.detector, generator))
        else:
            peaks.append(peak_of(page, request))
            pages.append(add_to_page(page, request.kind, request.level, generator, request.peak))
        report.progress(job, (index + 1) / len(image.pixels))
    if request.detector is None and (line := _of_little_range(image.pixels)):
        report.note(job, line)
    if output_format(job, image) == "jpeg":
        report.note(job, "JPEG compression alters the noise; write PNG to keep it exact")
    save(job, replace(image, pixels=np.stack(pages)), report, jpeg_quality=request.jpeg_quality)
    facts = {"noise": request.kind, "level": request.level, "draw_seed": seed}
    if request.detector is not None:
        facts |= {"level": None, "detector": asdict(request.detector)}
    return describe(image) | facts | _about_peaks([peak for peak in peaks if peak is not None])


def peak_of(page: np.ndarray, request: NoiseRequest) -> float | None:
    """The photons that white stands for in a page (H, W, C); None for noise that counts none."""
    kind = noise.get(request.kind)
    return request.peak or kind.peak_of(_planes(page)) if kind.own_peak else None


def _about_peaks(peaks: Sequence[float]) -> dict[str, object]:
    """Facts about the photons of white, of each page."""
    if not peaks:
        return {}
    spoken = f"{min(peaks):g}" + (f" to {max(peaks):g}" if max(peaks) > min(peaks) else "")
    line = f"white stands for {spoken} photons; --peak N sets it"
    return {"peak": peaks[0] if len(peaks) == 1 else list(peaks), "summary": [line]}


def _white(page: np.ndarray) -> float:
    return float(np.iinfo(page.dtype).max) if np.issubdtype(page.dtype, np.integer) else 1.0


def _planes(page: np.ndarray) -> torch.Tensor:
    """(H, W, C) as stored -> float32 (C, H, W), white at 1."""
    return torch.from_numpy((page / _white(page)).astype(np.float32)).permute(2, 0, 1)


def _of_little_range(pixels: np.ndarray) -> str:
    """What to say of whole numbers that use little of their dtype, as cameras' counts do."""
    top = Display(pixels.dtype).white
    if pixels.dtype.itemsize == 1 or pixels.dtype.kind == "f" or pixels.max() > LITTLE * top:
        return ""
    return f"uses 0 to {pixels.max()} of {top:.0f}, and levels are meant for all of it"


def draw_seed(seed: int, job: Job) -> int:
    """The seed of one output: from --seed, the input's file name and the number of the draw.

    Not from its place in the batch, so that a file gets the same noise alone, in any company, and
    in any order; and not --seed itself, so that two files do not share one pattern of noise.
    """
    name = "stdin" if job.source is None else job.source.name
    key = f"{seed}/{name}/{job.draw}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.sha256(key).digest()[:8]) >> 1  # torch wants 63 bits


def count(page: np.ndarray, detector: Detector, generator: torch.Generator) -> np.ndarray:
    """A page (H, W, C) of means as a detector counts them, in the unit and dtype of the page.

    What lies below the offset is no light. Whole numbers are rounded, and cut off where their dtype
    ends.
    """
    light = torch.from_numpy((page.astype(np.float64) - detector.offset) / detector.gain)
    electrons = torch.poisson(light.clamp(min=0), generator).numpy()
    read = torch.randn(light.shape, generator=generator, dtype=torch.float64).numpy()
    stored = detector.gain * electrons + detector.offset + detector.read_noise * read
    if page.dtype.kind == "f":
        return stored.astype(page.dtype)
    limits = np.iinfo(page.dtype)
    return np.rint(stored).clip(limits.min, limits.max).astype(page.dtype)


def add_to_page(
    page: np.ndarray,
    kind: str,
    level: float,
    generator: torch.Generator,
    peak: float | None = None,
) -> np.ndarray:
    """`page` with noise, in the dtype of `page`.

    Args:
        page: (H, W, C), unsigned integers that span their dtype, or floats with white at 1.
        kind, level: the noise and its level.
        generator: gives the randomness.
        peak: photons of a white sample, for noise that counts them; None takes the kind's own.

    Returns:
        Integers are clipped and rounded, as a file stores them. Floats are neither, since a float
        file may hold values below 0 and above 1.
    """
    noisy = noise.add(_planes(page), kind, level, generator, peak).permute(1, 2, 0).numpy()
    if not np.issubdtype(page.dtype, np.integer):
        return noisy.astype(page.dtype)
    white = _white(page)
    return np.rint(noisy.astype(np.float64) * white).clip(0, white).astype(page.dtype)
