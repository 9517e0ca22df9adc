"""How the layers of a net are fitted to one picture: what the user asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path

from mdn.errors import UsageError
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline.options import Options


class Start(Enum):
    """What a net can do before its layers are fitted."""

    FILLS = auto()  # masks alone, as MPI's pre-trained nets do, or nothing yet
    DENOISES = auto()


@dataclass(frozen=True)
class Plan:
    """All that a fit needs to know."""

    iters: int = 150  # steps at most; 0 leaves the net as it is
    lr: float = 1e-4  # peak learning rate of Adam, falling as a cosine
    ratio: float = 0.3  # share of the samples that a step hides
    ema: float = 0.95  # decay of the averaged weights, which are what is used
    # the picture is taken apart into shuffle^2 smaller ones, each colour for itself, so that
    # neighbours which share noise come to lie in different ones
    shuffle: int = 1
    # crop, batch: side and number of the crops of a step
    crop: int = 96
    batch: int = 4
    settles: bool = True  # it ends early once the error on held-out samples no longer falls


@dataclass(frozen=True)
class FitOptions:
    """What the user asked for, in the words of Plan; None where it is left to mdn."""

    # auto: the description of the noise, and layers only if asked for; mpi, mpi-real, mpi-fast:
    # MPI's own nets and schedule, for noise that is independent from pixel to pixel, for noise that
    # is not, and with fewer steps (NeurIPS 2024, section 4.1)
    preset: str = "auto"
    iters: int | None = None
    lr: float | None = None
    ratio: float | None = None
    ema: float | None = None
    shuffle: int | None = None
    from_scratch: bool = False  # forget what the net has learnt
    layers: bool = False  # fit layers too


@dataclass(frozen=True)
class FitRequest:
    """What was asked of the fit of each picture."""

    fit: FitOptions = field(default_factory=FitOptions)  # the options of the fit
    # of the pipeline; its seed and precision hold for the fit as well
    options: Options = field(default_factory=Options)
    # seconds that the fit of layers may take for one picture, or None
    time_limit: float | None = None
    checkpoint: Path | None = None  # file that the fit of layers is kept in while it runs, or None
    resume: bool = False  # whether to go on from it
    # save, use: files: where the finished fit goes, and where one comes from; or None
    save: Path | None = None
    use: Path | None = None


PRESETS: dict[str, Plan] = {
    "auto": Plan(),
    "mpi": Plan(iters=1000, ratio=0.3, ema=0.99),
    "mpi-real": Plan(iters=1000, ratio=0.85, ema=0.99),
    "mpi-fast": Plan(iters=200, ratio=0.3, ema=0.9),
}
FILLERS = {"mpi": "mpi-synthetic", "mpi-real": "mpi-real", "mpi-fast": "mpi-synthetic"}
SCRATCH = Plan(iters=1500, lr=2e-3, ema=0.99)
FILLER_LR = 2e-3  # MPI's
CLEAN = 1 / 255  # sigma: below it there is nothing to gain


def make_plan(asked: FitOptions, seen: NoiseEstimate | None, start: Start = Start.DENOISES) -> Plan:
    """The plan for the layers of a net, and a picture whose noise was estimated as `seen`.

    Raises UsageError: a wish that makes no sense; names the option.
    """
    if asked.preset not in PRESETS:
        raise UsageError(f"--preset {asked.preset}: choose one of {', '.join(PRESETS)}")
    plan = PRESETS[asked.preset]
    if asked.from_scratch:
        start = Start.FILLS
        plan = replace(plan, iters=SCRATCH.iters, lr=SCRATCH.lr, ema=SCRATCH.ema)
    if start is Start.FILLS:
        plan = replace(plan, lr=FILLER_LR, crop=256, batch=1)
        shared = seen is not None and seen.correlated
        plan = replace(plan, shuffle=2 if shared and asked.preset == "auto" else plan.shuffle)
    elif asked.preset == "auto" and not asked.layers:
        plan = replace(plan, iters=0)  # layers are fitted where that is asked for
    given = {
        name: value
        for name in ("iters", "lr", "ratio", "ema", "shuffle")
        if (value := getattr(asked, name)) is not None
    }
    if seen is not None and seen.sigma < CLEAN and asked.iters is None:
        given["iters"] = 0
    return replace(plan, **given, settles=asked.iters is None)
