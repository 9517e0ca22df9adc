"""The noises of a benchmark: which kinds at which levels, and how they come onto a picture."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from mdn import noise
from mdn.bench.data import BenchImage, DataSet
from mdn.commands.noise import add_to_page, draw_seed
from mdn.encoding import Display
from mdn.errors import UsageError
from mdn.jobs.job import Job
from mdn.metrics import Protocol


@dataclass(frozen=True)
class NoiseCase:
    """One kind of noise at one level; level None: nothing is added.

    peak: of noise that counts photons, how many white stands for; None: the kind's own number.
    """

    kind: str
    level: float | None = None
    peak: float | None = None

    @property
    def label(self) -> str:
        """gaussian25, poisson1 peak 60, none, real: what rows call it."""
        level = "" if self.level is None else f"{self.level:g}"
        return self.kind + level + ("" if self.peak is None else f" peak {self.peak:g}")


NONE = NoiseCase("none")
REAL = NoiseCase("real")  # of pairs: the noise is in the files
SPP = "spp"  # of renders: samples per pixel, likewise


def plan(data: DataSet, cases: tuple[NoiseCase, ...]) -> tuple[NoiseCase, ...]:
    """The noises of a data set: those of the command, or the ones in its files."""
    if data.renders:
        return tuple(NoiseCase(SPP, spp) for spp in data.spp)
    return (REAL,) if data.pairs else cases


def pictures(data: DataSet, case: NoiseCase) -> tuple[BenchImage, ...]:
    """The pictures that a case is about."""
    if not data.renders:
        return data.pictures
    return tuple(picture for picture in data.pictures if picture.spp == case.level)


def parse(text: str) -> tuple[NoiseCase, ...]:
    """What --noise asks for, by comma: suite, all, none, KIND (its published levels), KIND:LEVEL,
    or KIND:LEVEL:PEAK for noise that counts photons.

    Raises UsageError: an unknown kind, offers the nearest; a level that is no number or out of
    range.
    """
    cases: list[NoiseCase] = []
    for part in text.split(","):
        kind, colon, level = part.strip().partition(":")
        if colon:
            cases.append(_at_level(kind, level))
        elif kind == "none":
            cases.append(NONE)
        else:
            rows = noise.SUITE.get("paper" if kind == "suite" else kind)
            cases += [NoiseCase(*row) for row in rows or noise.SUITE[noise.get(kind).name]]
    return tuple(dict.fromkeys(cases))


def _at_level(kind: str, text: str) -> NoiseCase:
    """text: LEVEL or LEVEL:PEAK."""
    noise_type = noise.get(kind)
    first, colon, last = text.partition(":")
    try:
        level, peak = float(first), float(last) if colon else None
    except ValueError:
        wrong = "peak" if first.replace(".", "", 1).isdigit() else "level"
        tried = f"{kind}:{noise_type.default:g}" + (":255" if wrong == "peak" else "")
        raise UsageError(f"--noise {kind}:{text}: the {wrong} is no number; try {tried}") from None
    noise_type.check(level)
    noise_type.check_peak(peak)
    return NoiseCase(noise_type.name, level, peak)


def add(
    truth: np.ndarray,
    case: NoiseCase,
    picture: BenchImage,
    seed: int,
    protocol: Protocol,
    unclipped: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """What a method is given, and what its result is compared with; both (H, W, C).

    Args:
        truth: the clean page, as stored. It is what comes back, but for noise with a look of its
            own (NoiseType.take_pair): a camera's picture is compared with its clean twin.
        picture: its file name and `seed` fix the noise, so that `mdn noise --seed` makes the same.
        protocol: rounded gives uint8, as an 8-bit file holds it; else float32 clipped to 0..1.
        unclipped: float32 with all the noise, values below 0 and above 1 too: classical additive
            white Gaussian noise, for which the published figures of BM3D hold.
    """
    clean = Display(truth.dtype).encode(truth)
    eight = Display(np.dtype(np.uint8))
    rounded = protocol.rounded and not unclipped
    page = eight.decode(clean) if rounded else clean
    if case.level is None:
        return page, truth
    kind = noise.get(case.kind)
    job = Job(picture.truth, None, picture.name)
    generator = torch.Generator().manual_seed(draw_seed(seed, job))
    if not kind.pair:
        noisy = add_to_page(page, kind.name, case.level, generator, case.peak)
        return noisy if rounded or unclipped else noisy.clip(0, 1), truth
    planes = torch.from_numpy(clean).permute(2, 0, 1)
    pair = kind.take_pair(planes, case.level, generator)
    noisy, twin = (np.ascontiguousarray(page.permute(1, 2, 0).numpy()) for page in pair)
    return (eight.decode(noisy), eight.decode(twin)) if rounded else (noisy, twin)


def fingerprint(case: NoiseCase) -> str:
    """Changes when the noise's own code does: old scores must not pass for new ones then."""
    if case.level is None or case.kind == SPP:
        return ""
    ramp = torch.linspace(0, 1, 3 * 32 * 32).reshape(3, 32, 32)
    noisy = noise.add(ramp, case.kind, case.level, torch.Generator().manual_seed(0), case.peak)
    return hashlib.sha256(noisy.numpy().tobytes()).hexdigest()[:16]
