"""The generalised Anscombe transform, and its exact unbiased inverse.

Photons give Poisson noise, a camera's electronics Gaussian noise: together, a variance that rises
in a straight line with brightness, variance = gain * brightness + offset. The transform makes such
noise of standard deviation 1 everywhere (Starck, Murtagh & Bijaoui 1998, section 2.2):

    y = 2 / gain * sqrt(gain * x + 3/8 gain^2 + offset), less the constant that takes 0 to 0

A camera's pedestal needs no number of its own, since it only moves the line's offset. As gain goes
to 0 the transform goes to x / sqrt(offset), and is computed so that nothing cancels on the way.

The mean of y is not the transform of the mean of x. The inverse takes the mean of y to the mean of
x: Makitalo & Foi, "Optimal inversion of the generalized Anscombe transformation for
Poisson-Gaussian noise" (IEEE TIP 2013), in the closed form of section III-C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Array = TypeVar("Array", "np.ndarray", "Tensor")  # it only needs what both of them have

NEWTON = 12  # steps; each at least halves what is missing, near darkness too
_ROOT = 1.5**0.5  # sqrt(3/2)


@dataclass(frozen=True)
class Anscombe:
    """The transform for noise of variance gain * x + offset, for x in any unit.

    Raises ValueError: a negative gain, or a variance that is nowhere above 0.
    """

    gain: float  # x by photon, at least 0; 0 means noise that does not depend on brightness
    offset: float  # variance at x = 0, in squares of x. Negative where a pedestal lies under x.

    def __post_init__(self) -> None:
        if not (self.gain >= 0 and (self.gain > 0 or self.offset > 0)):
            raise ValueError(f"variance {self.gain:g} x + {self.offset:g} is nowhere above 0")

    def forward(self, x: Array) -> Array:
        """x, any shape -> the same shape, its noise of standard deviation 1."""
        root = (self.gain * x + self._constant).clip(min=0) ** 0.5
        if self._root0 == 0:
            return 2 / self.gain * root
        # (root - root0) * 2 / gain, times (root + root0) / (root + root0)
        least = -self._constant / self.gain if self.gain else float("-inf")
        return 2 * x.clip(min=least) / (root + self._root0)

    def inverse(self, y: Array) -> Array:
        """The mean of x where y is the mean of forward(x): for what a denoiser gives back."""
        root = (self.gain / 2 * y + self._root0).clip(min=1e-30)
        # 1 / D of the paper, where D = 2 root / gain. D = 2 sqrt(3/8) stands for no photon at all;
        # below it the closed form turns upwards again, and has no meaning.
        share = (self.gain / (2 * root)).clip(max=1 / _ROOT)
        bias = 0.25 + _ROOT / 4 * share - 11 / 8 * share**2 + 5 / 8 * _ROOT * share**3
        return self.algebraic(y.clip(min=self._least)) + self.gain * bias

    def mean(self, x: Array) -> Array:
        """The y whose inverse is x: the mean of forward of noisy samples whose own mean is x."""
        y = self.forward(x)
        for _ in range(NEWTON):
            # The slope of the inverse is close to that of the algebraic one.
            slope = (self._root0 + self.gain / 2 * y).clip(min=self.gain)
            y = (y - (self.inverse(y) - x) / slope).clip(min=self._least)
        return y

    def algebraic(self, y: Array) -> Array:
        """The x whose forward is y: for values that are as noisy as they were, or have no noise."""
        if self._root0 == 0:
            return self.gain / 4 * y * y - self._constant / self.gain
        return y * (self._root0 + self.gain / 4 * y)

    @property
    def _constant(self) -> float:
        return 3 / 8 * self.gain**2 + self.offset

    @property
    def _root0(self) -> float:
        """The root at x = 0, or 0 where x = 0 lies below all light."""
        return max(0.0, self._constant) ** 0.5

    @property
    def _least(self) -> float:
        """y where D = 2 sqrt(3/8): the variance is 0 there."""
        if self.gain == 0:
            return float("-inf")
        return _ROOT - 2 / self.gain * self._root0
