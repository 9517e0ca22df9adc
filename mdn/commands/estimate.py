"""`mdn noise --estimate`: how strong the noise of images is and of what kind, nothing written."""

import functools
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch

from mdn.commands import detector
from mdn.commands.detector import DetectorReading
from mdn.encoding import Display
from mdn.errors import FileError
from mdn.jobs.files import describe, load
from mdn.jobs.inputs import Expansion, expand
from mdn.jobs.job import BatchResult, Job, Report
from mdn.jobs.running import run_batch
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.noise.analysis.lines import Banding
from mdn.pipeline import calibration, destripe, hidden
from mdn.pipeline.judge import estimate_noise, judge_sample
from mdn.pipeline.sample import sample_for_estimation
from mdn.registry import store
from mdn.registry.model import Model, load_model

NONE = 0.5  # sigma, 0-255 scale, that is called none
MODEL = "photo"  # whose judge is asked
NAMES = {1: ("gray",), 3: ("red", "green", "blue")}


def jobs_of(
    inputs: Sequence[str], listed: Sequence[str], recursive: bool
) -> tuple[list[Job], Expansion]:
    """One job for each image that the inputs mean, and those of a list. Raises as inputs.expand."""
    expansion = expand(inputs, recursive=recursive, listed=listed)
    jobs = [Job(item.path, None, item.name, problem=item.problem) for item in expansion.inputs]
    return jobs, expansion


def run(
    jobs: Sequence[Job],
    report: Report,
    *,
    offset: float | None = None,
    fail_fast: bool = False,
) -> tuple[BatchResult, DetectorReading | None]:
    """The noise of each job's image, in the details of its outcome; see `facts`.

    And what pairs of the images say of the detector, where they show the same thing.

    Args:
        jobs: what to look at; their targets are unused.
        offset: of the detector, where it is known.
    """
    frames: dict[str, np.ndarray] = {}

    def work(job: Job, report: Report) -> dict[str, object]:
        image = load(job)
        pages = image.pixels
        if len(pages) > 1:
            report.note(job, f"only the first of {len(pages)} pages is described")
        elif pages.shape[-1] == 1 and np.isfinite(pages).all():
            frames[job.name] = detector.middle_of(pages[0, ..., 0])
        opaque = None if image.alpha is None else image.alpha[0] > 0
        _, facts = of_page(pages[0], job.name, opaque)
        readings = detector.of_file(job.source, pages, offset)
        facts["detector"] = {key: reading.facts() for key, reading in readings.items()}
        return describe(image) | facts

    result = run_batch(jobs, work, report, fail_fast=fail_fast)
    alike = len({(frame.shape, frame.dtype) for frame in frames.values()}) == 1
    series = detector.of_series(frames, offset) if alike and len(frames) > 1 else None
    return result, series


def of_page(
    stored: np.ndarray, name: str, opaque: np.ndarray | None = None
) -> tuple[NoiseEstimate, dict[str, object]]:
    """The noise of a page (H, W, C) as stored: the estimate, and `facts` of it.

    opaque: (H, W) bool, where it can be seen; everywhere, if None.

    Raises FileError: it holds samples that are not finite; `name` is what the message calls it.
    """
    if not np.isfinite(stored).all():
        raise FileError(name, "holds NaN or infinite samples", "repair it first")
    page = stored.astype(np.float64)
    if stored.dtype.itemsize > 1:
        usual = hidden.usual_samples(page, np.ones(page.shape, bool))
        x, strange = (torch.from_numpy(v.transpose(2, 0, 1)[None].copy()) for v in (page, ~usual))
        page = hidden.filled(x, strange)[0].numpy().transpose(1, 2, 0)
    black, white = _range(page, stored.dtype)
    scale = lambda page: ((page - black) / (white - black)).astype(np.float32)  # noqa: E731
    banding = destripe.find(page, scale)
    sample = sample_for_estimation(page, scale, banding, opaque)
    # A photograph's texture may pass for noise; what was measured is no photograph.
    if (black, white) == (0.0, Display(stored.dtype).white):
        estimate = judge_sample(sample, _model()).estimate
        assert estimate is not None
    else:
        estimate = estimate_noise(sample)
    return estimate, facts(estimate, black, white, banding)


@functools.cache
def _model() -> Model:
    """The default one for photos, as `mdn denoise` takes it."""
    return load_model(store.find(MODEL), torch.device("cpu"))


def _range(page: np.ndarray, dtype: np.dtype) -> tuple[float, float]:
    """The stored values that stand for 0 and 255 in the facts of a page.

    Those of its dtype, unless the page is deep and uses little of them or, in floats, far more:
    measurements do, and all their brightness would be one.
    """
    nominal = Display(dtype).white
    black, white = calibration.ends(page.ravel(), dtype)
    used = (white - black) / nominal
    return (black, white) if dtype.itemsize > 1 and not 0.5 < used < 2 else (0.0, nominal)


def facts(
    estimate: NoiseEstimate, black: float, white: float, banding: Banding | None = None
) -> dict[str, object]:
    """An estimate as JSON-able facts: its own fields, words for its kind, and stored units.

    Args:
        seen: the estimate.
        black, white: the stored values of its 0 and 1.
        banding: what was taken out before.
    """
    more = [] if banding is None else [f"besides, {banding.in_words()}"]
    fields = asdict(estimate)
    sigmas = [255 * sigma for sigma in fields.pop("channel_sigmas")]
    names = NAMES.get(len(sigmas), tuple(f"channel {i + 1}" for i in range(len(sigmas))))
    down, across = (
        (0.0, 0.0) if banding is None else (255 * deviation for deviation in banding.sigma)
    )
    return fields | {
        "level": 255 * estimate.sigma,
        "banding": {"rows": down, "columns": across},
        "stored_level": estimate.sigma * (white - black),
        "range": [black, white],
        "sigma": dict(zip(names, sigmas, strict=True)),
        "low_frequency_sigma": 255 * estimate.low_frequency_sigma,
        "kind": (kind(estimate) if 255 * estimate.sigma >= NONE else ["no noise found"]) + more,
    }


def kind(estimate: NoiseEstimate) -> list[str]:
    """What the noise is like, in one sentence for each question."""
    words = ["equally strong at every brightness"]
    if estimate.signal_dependent:
        where, sign = "brighter" if estimate.gain > 0 else "darker", "-+"[estimate.offset >= 0]
        words = [
            f"stronger where the picture is {where}: variance = "
            f"{estimate.gain:.3g} x brightness {sign} {abs(estimate.offset):.2g}"
        ]
        if estimate.gain > 0:
            words[0] += f", like {1 / estimate.gain:.3g} photons at white"
    vertical, horizontal = estimate.neighbours
    if not estimate.correlated:
        words.append("white: independent from pixel to pixel")
    elif abs(vertical - horizontal) > 0.5:
        across = "rows" if horizontal > vertical else "columns"
        words.append(f"correlated along {across} ({max(estimate.neighbours):.2f}): stripes")
    else:
        words.append(
            f"coarse: neighbouring pixels share it (correlation {vertical:.2f} down,"
            f" {horizontal:.2f} across), as if white noise of sigma"
            f" {255 * estimate.low_frequency_sigma:.3g} had been smoothed"
        )
    share = f"{100 * estimate.impulses:.2g} % of the samples"
    words.append(
        f"impulses: {share} are isolated extremes" if estimate.impulsive else "no impulses"
    )
    return words
