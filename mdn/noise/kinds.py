"""Every kind of noise that mdn can add, for training, `mdn noise` and benchmarks alike.

One list, `kinds.toml`; no torch here: the command line asks for names, and who only measures noise
needs none of the functions. All randomness comes from the generator that the caller passes.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdn.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mdn.noise.synthesis.random_fields import Level


@dataclass(frozen=True, kw_only=True)
class NoiseType:
    """A kind of noise, as a user meets it."""

    name: str
    title: str  # a few words
    parameter: str = "sigma"  # the symbol of its level in the literature
    unit: str = "0-255 scale"  # that the level is counted in
    levels: tuple[float, ...]  # those that papers report, from weak to strong
    default: float  # the level when none is given
    limits: tuple[float, float] = (0, 255)  # of levels that make sense; `check` refuses others
    explanation: str  # two or three sentences, and one more for noise that is held out
    example: str = ""  # one command line; if left out, one with the default level
    # MODULE.NAME in mdn.noise.synthesis of fn(x, level, generator): x (..., C, H, W) float32,
    # nominal range [0, 1], gives the same shape, not clipped
    function: str
    # Likewise, for noise that comes with a look of its own (a camera's softness and tone): gives
    # the picture with that look, noisy and clean. Empty where the clean picture is x itself.
    pair: str = ""
    # Likewise of fn(x), for noise that counts photons: how many a sample of 1 stands for unless
    # told; `function` takes that number as `peak`, too.
    own_peak: str = ""
    held_out: bool = False  # for tests on noise that no model has learnt; training refuses it
    suite: tuple[float, ...] = ()  # levels in the suite "unknown"; empty for the default

    def __post_init__(self) -> None:
        if self.held_out:
            text = f"{self.explanation} No model is trained on it."
            object.__setattr__(self, "explanation", text)
        if not self.example:
            example = f"mdn noise photo.png -o noisy.png --type {self.name}"
            object.__setattr__(self, "example", f"{example} --level {self.default:g}")

    def check(self, level: Level) -> None:
        """Raise UsageError when a level lies outside the limits (or is not a number)."""
        lowest, highest = self.limits
        # Written so that NaN, which compares false with everything, is refused as well.
        inside = (level >= lowest) & (level <= highest)
        if not (inside if isinstance(inside, bool) else bool(inside.all())):
            shown = f"{level:g}" if isinstance(level, float | int) else "one of the levels"
            raise UsageError(
                f"{self.name}: level {shown} is outside {lowest:g} to {highest:g} ({self.unit}); "
                f"try {self.default:g}"
            )

    @cached_property
    def add(self) -> Callable[..., Tensor]:
        """The function that adds it."""
        return _resolved(self.function)

    def peak_of(self, x: Tensor) -> float | None:
        """The photons that a sample of 1 stands for in x unless told; None: it counts none."""
        return float(_resolved(self.own_peak)(x)) if self.own_peak else None

    def check_peak(self, peak: float | None) -> None:
        """Raise UsageError for a peak that this noise has no use for, or that counts nothing."""
        if peak is None:
            return
        if not self.own_peak:
            able = ", ".join(noise.name for noise in NOISES if noise.own_peak)
            raise UsageError(f"--peak is for noise that counts photons ({able}), not {self.name}")
        if not 0 < peak < float("inf"):
            raise UsageError(f"--peak {peak:g}: give the photons of a white sample, such as 255")

    @cached_property
    def take_pair(self) -> Callable[[Tensor, Level, torch.Generator], tuple[Tensor, Tensor]]:
        """The function that gives a noisy picture and the clean one to hold it against."""
        return _resolved(self.pair)


def _resolved(path: str) -> Any:
    module, name = path.split(".")
    return getattr(import_module(f"mdn.noise.synthesis.{module}"), name)


def _read() -> tuple[NoiseType, ...]:
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    tables: dict[str, dict[str, Any]] = tomllib.loads(text)
    for about in tables.values():
        about |= {key: tuple(value) for key, value in about.items() if isinstance(value, list)}
    return tuple(NoiseType(name=name, **about) for name, about in tables.items())


NOISES = _read()
_BY_NAME = {noise.name: noise for noise in NOISES}
PAPER = ("gaussian", "speckle", "poisson", "spatial", "salt-pepper", "isp", "mixture")

Rows = tuple[tuple[str, float], ...]


def _rows(*names: str) -> Rows:
    return tuple((name, level) for name in names for level in _BY_NAME[name].levels)


SUITE: dict[str, Rows] = {
    **{name: _rows(name) for name in _BY_NAME},
    "paper": _rows(*PAPER),
    "unknown": tuple(
        (noise.name, level)
        for noise in NOISES
        if noise.held_out
        for level in noise.suite or (noise.default,)
    ),
    "all": _rows(*_BY_NAME),
}
"""What benchmarks run, by name: one kind at its published levels, "paper" (the noises that Chen et
al., CVPR 2023, test on; their renders are files, not a noise), "unknown" (those that no model is
trained on, at their usual strength) or "all"."""


def get(name: str) -> NoiseType:
    """The noise type of that name. Raises UsageError that offers the nearest names."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    near = difflib.get_close_matches(name.lower(), _BY_NAME, n=3, cutoff=0.4) or list(_BY_NAME)
    raise UsageError(f"unknown noise type {name!r}; try {', '.join(near)}")


def add(
    x: Tensor, kind: str, level: Level, generator: torch.Generator, peak: float | None = None
) -> Tensor:
    """x with noise of that kind and level; same shape, not clipped.

    x: (..., C, H, W) float32, nominal range [0, 1]. level: a number, or a tensor that broadcasts
    with x, such as (B, 1, 1, 1). peak: for noise that counts photons, how many a sample of 1 stands
    for; None takes the kind's own (`NoiseType.peak_of`). The same generator state gives the same
    bits on the CPU.
    Raises UsageError for an unknown kind, a level outside its limits, and a peak of a kind without.
    """
    noise = get(kind)
    noise.check(level)
    noise.check_peak(peak)
    more = {} if peak is None else {"peak": peak}
    return noise.add(x, level, generator, **more)
