"""How a net is fitted to one picture: what the user asked for, and what the noise suggests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from mdn.errors import UsageError
from mdn.noise.analysis.estimate import NoiseEstimate


class Start(Enum):
    """What a net can do before it is fitted."""

    FILLS = auto()  # masks alone, as MPI's pre-trained nets do, or nothing yet
    DENOISES = auto()
    CONDITIONED = auto()  # denoises, knowing how strong the noise is, at each scale


@dataclass(frozen=True)
class Plan:
    """All that a fit needs to know.

    Attributes:
        iters: steps at most; 0 leaves the net as it is.
        lr: peak learning rate of Adam, falling as a cosine.
        ratio: share of the samples that a step hides.
        ema: decay of the averaged weights, which are what is used.
        shuffle: the picture is taken apart into shuffle^2 smaller ones, each colour for itself, so
            that neighbours which share noise come to lie in different ones.
        seeing: 0 to 1: weight of the net's answer to what it sees against its guess of what is
            hidden from it.
        crop, batch: side and number of the crops of a step.
        why: what was chosen, and for what reason, in words.
    """

    iters: int = 150
    lr: float = 1e-4
    ratio: float = 0.3
    ema: float = 0.95
    shuffle: int = 1
    seeing: float = 1.0
    crop: int = 96
    batch: int = 4
    why: str = ""


@dataclass(frozen=True)
class FitOptions:
    """What the user asked for; None where it is left to mdn. As Plan, and:

    Attributes:
        preset: auto; fast: fewer steps; synthetic: noise that is independent from pixel to pixel;
            real: noise that is not (the two cases of MPI, NeurIPS 2024, section 4.1).
        from_scratch: forget what the net has learnt.
        anyway: fit even where nothing is expected of it.
    """

    preset: str = "auto"
    iters: int | None = None
    lr: float | None = None
    ratio: float | None = None
    ema: float | None = None
    shuffle: int | None = None
    from_scratch: bool = False
    anyway: bool = False


PRESETS: dict[str, Plan] = {
    "auto": Plan(),
    "fast": Plan(iters=60, ema=0.9),
    "synthetic": Plan(iters=1000, ratio=0.3, ema=0.99, why="preset synthetic"),
    "real": Plan(iters=1000, ratio=0.85, ema=0.99, seeing=0.5, why="preset real"),
}
SCRATCH = Plan(iters=1500, lr=2e-3, ema=0.99)
FILLER_LR = 2e-3  # MPI's
COLOURS = 3  # channels of a photograph
CLEAN = 1 / 255  # sigma: below it there is nothing to gain
# Fine texture looks like noise that neighbours share, and taken apart it would be lost: several dB
# of a clean picture. A net that was trained on photos knows it: of 111 clean ones it took 3.4 at
# most of any that was flagged. Weaker noise is left to the plain pass (models/TRIALS.md).
TAKEN = 4.0


def make_plan(
    asked: FitOptions,
    seen: NoiseEstimate | None,
    taken: float | None = None,
    start: Start = Start.DENOISES,
) -> Plan:
    """The plan for a picture whose noise was estimated as `seen`; None: it could not be.

    taken: root mean square of what the unfitted net takes out of it, 0-255 scale, where known.

    Raises:
        UsageError: a wish that makes no sense; names the option.
    """
    if asked.preset not in PRESETS:
        raise UsageError(f"--preset {asked.preset}: choose one of {', '.join(PRESETS)}")
    plan = PRESETS[asked.preset]
    if asked.from_scratch:
        start = Start.FILLS
        plan = replace(plan, iters=SCRATCH.iters, lr=SCRATCH.lr, ema=SCRATCH.ema)
    if start is Start.FILLS:
        plan = replace(plan, lr=FILLER_LR, seeing=0.0, crop=256, batch=1)
    if asked.preset in ("auto", "fast"):
        plan = _for_noise(plan, seen, start, taken, asked.anyway)
    given = {
        name: value
        for name in ("iters", "lr", "ratio", "ema", "shuffle")
        if (value := getattr(asked, name)) is not None
    }
    if seen is not None and seen.sigma < CLEAN and asked.iters is None:
        given["iters"] = 0
    plan = replace(plan, **given)
    return plan if plan.iters else replace(plan, why=f"{plan.why}; not fitted")


def _for_noise(
    plan: Plan, seen: NoiseEstimate | None, start: Start, taken: float | None, anyway: bool
) -> Plan:
    if seen is None:
        return replace(plan, why="too small to measure its noise")
    if seen.sigma < CLEAN:
        return replace(plan, why=f"no noise found (sigma {255 * seen.sigma:.1f})")
    level = f"sigma {255 * seen.sigma:.0f}"
    if seen.correlated and start is Start.CONDITIONED:
        why = f"{level}, blotchy, which the model removes as it is"
        return replace(plan, iters=0, why=why)
    if start is Start.CONDITIONED and not anyway:
        # Measured: fitting such a net loses up to 0.8 dB at sigma 10, and gains none at 25 and 50.
        if not seen.signal_dependent:
            why = f"{level}, the same everywhere, which the model removes as it is"
            return replace(plan, iters=0, why=why)
        if (
            len(seen.channel_sigmas) == COLOURS
        ):  # measured: -0.3 to 0 dB; gray, as of microscopes, gains
            why = f"{level}, depends on brightness, which the model removes as it is"
            return replace(plan, iters=0, why=why)
    if seen.correlated and start is Start.FILLS:
        reason = "blotchy, so the picture is split into four smaller ones"
        plan = replace(plan, shuffle=2)
    elif seen.correlated and taken is not None:
        return _for_shared_noise(plan, level, taken)
    elif seen.correlated:
        reason = "blotchy, so visible samples count half"
        plan = replace(plan, seeing=0.5)
    else:
        reason = "independent from pixel to pixel"
    return replace(plan, why=f"{level}, {reason}; {plan.ratio:.0%} hidden in each step")


def _for_shared_noise(plan: Plan, level: str, taken: float) -> Plan:
    """Where neighbours foretell each other's noise a fit learns that noise: measured, it loses."""
    if taken < TAKEN:
        why = f"texture, not noise: the model removes only {taken:.1f} of it"
        return replace(plan, iters=0, why=why)
    why = "blotchy, so the picture is split into four smaller ones"
    return replace(plan, iters=0, shuffle=2, why=f"{level}, {why}")
