"""What a noise type is: a frozen description with the function that adds it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mdn.errors import UsageError

Level = float | Tensor
"""One number for everything, or a tensor that broadcasts: (B,1,1,1) a sample, (C,1,1) a channel."""

NoiseFunction = Callable[[Tensor, Level, torch.Generator], Tensor]
"""fn(x, level, generator) for x (..., C, H, W) float32, nominal [0, 1]; same shape, not clipped."""

PairFunction = Callable[[Tensor, Level, torch.Generator], tuple[Tensor, Tensor]]
"""fn(x, level, generator) -> the noisy picture and the clean one to hold it against, both as x."""


@dataclass(frozen=True, kw_only=True)
class NoiseType:
    """A kind of noise, as a user meets it."""

    name: str
    title: str
    parameter: str = "sigma"  # the symbol of its level in the literature
    unit: str = "0-255 scale"  # that the level is counted in
    levels: tuple[float, ...]  # those that papers report, from weak to strong
    default: float  # the level when none is given
    limits: tuple[float, float] = (0, 255)  # of levels that make sense; `check` refuses others
    explanation: str  # two or three sentences, and one more for noise that is held out
    example: str = ""  # one command line; if left out, one with the default level
    function: NoiseFunction
    # For noise that comes with a look of its own (a camera's softness and tone): the picture with
    # that look, noisy and clean; None where the clean picture is x itself.
    pair: PairFunction | None = None
    held_out: bool = False  # kept for tests on noise that no model has seen; training refuses it

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
        values = torch.as_tensor(level)
        # Written so that NaN, which compares false with everything, is refused as well.
        if not bool(((values >= lowest) & (values <= highest)).all()):
            shown = f"{level:g}" if isinstance(level, float | int) else "one of the levels"
            raise UsageError(
                f"{self.name}: level {shown} is outside {lowest:g} to {highest:g} ({self.unit}); "
                f"try {self.default:g}"
            )
