"""How noisy a sensor is at an ISO setting: shot and read noise of several hundred cameras.

Quantiles over 8,048 measured profiles of darktable (green channel, raw values of 0..1). A raw value
r has noise of variance shot * r + read.
"""

import math
from dataclasses import dataclass

import torch

# ISO: (shot at 5, 50 and 95 % of the cameras), (read at 50 and 95 %).
TABLE: dict[int, tuple[tuple[float, float, float], tuple[float, float]]] = {
    100: ((8.6e-7, 3.3e-6, 1.7e-5), (3.7e-9, 6.4e-8)),
    400: ((2.8e-6, 1.0e-5, 6.0e-5), (1.7e-8, 3.4e-7)),
    1600: ((1.0e-5, 3.8e-5, 2.4e-4), (1.1e-7, 3.3e-6)),
    3200: ((2.0e-5, 7.1e-5, 4.6e-4), (2.3e-7, 6.6e-6)),
    6400: ((3.8e-5, 1.4e-4, 7.3e-4), (5.1e-7, 9.8e-6)),
    12800: ((7.4e-5, 2.3e-4, 7.0e-4), (9.3e-7, 1.1e-5)),
    25600: ((1.2e-4, 3.3e-4, 8.2e-4), (1.2e-6, 2.1e-5)),
}
QUANTILE = 1.645  # standard deviations from the median to the 5 and 95 % quantiles of a normal


@dataclass(frozen=True)
class SensorNoise:
    """Variance of a raw value r in 0..1: shot * r + read."""

    shot: float
    read: float


def quantiles(iso: float) -> tuple[tuple[float, float, float], tuple[float, float]]:
    """The table between its rows, all logarithms interpolated; beyond its ends as at the ends."""
    known = list(TABLE)
    at = min(max(iso, known[0]), known[-1])
    upper = next(k for k in known if k >= at)
    lower = max(k for k in known if k <= at)
    share = 0.0 if upper == lower else math.log(at / lower) / math.log(upper / lower)

    def between(a: float, b: float) -> float:
        return a ** (1 - share) * b**share

    (a5, a50, a95), (b50, b95) = TABLE[lower]
    (c5, c50, c95), (d50, d95) = TABLE[upper]
    return (between(a5, c5), between(a50, c50), between(a95, c95)), (
        between(b50, d50),
        between(b95, d95),
    )


def draw_sensor(iso: float, generator: torch.Generator) -> SensorNoise:
    """One camera at that ISO: log-normal about the median, either side by its own quantile.

    Shot and read noise share one random number: a small sensor is worse in both.
    """
    (low, middle, high), (read, read_high) = quantiles(iso)
    drawn = float(torch.randn((), generator=generator).clamp(-2.5, 2.5))
    side = math.log(high / middle) if drawn > 0 else math.log(middle / low)
    shot = middle * math.exp(side * drawn / QUANTILE)
    return SensorNoise(shot, read * math.exp(math.log(read_high / read) * drawn / QUANTILE))
