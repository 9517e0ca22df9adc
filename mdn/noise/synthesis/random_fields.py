"""Random fields, drawn on the generator's device: a CPU generator gives all devices the same."""

import functools
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

Level = float | Tensor
"""One for everything, or a tensor that broadcasts: (B,1,1,1) a sample, (C,1,1) a channel."""


def normal(like: Tensor, generator: torch.Generator, shape: Sequence[int] | None = None) -> Tensor:
    """Standard normal samples of `shape` (or of the shape of `like`), on the device of `like`."""
    size = tuple(like.shape if shape is None else shape)
    field = torch.randn(size, generator=generator, device=generator.device)
    return field.to(like.device)


def uniform(like: Tensor, generator: torch.Generator, shape: Sequence[int] | None = None) -> Tensor:
    """Samples uniform in [0, 1) of `shape` (or of the shape of `like`), on the device of `like`."""
    size = tuple(like.shape if shape is None else shape)
    field = torch.rand(size, generator=generator, device=generator.device)
    return field.to(like.device)


def poisson(rate: Tensor, generator: torch.Generator) -> Tensor:
    """Poisson counts of the given rates; negative and NaN rates count as 0."""
    safe = torch.nan_to_num(rate, nan=0.0).clamp(min=0).to(generator.device)
    return torch.poisson(safe, generator=generator).to(rate.device)


def on_device(level: Level, like: Tensor) -> Tensor:
    """The level as a tensor that can be multiplied with `like`."""
    return torch.as_tensor(level, dtype=like.dtype, device=like.device)


def sigma(level: Level, like: Tensor) -> Tensor:
    """A standard deviation given on the 0-255 scale, in the nominal range, as a tensor."""
    return on_device(level, like) / 255


def gamma(shape: Tensor, generator: torch.Generator) -> Tensor:
    """Gamma samples of the given shape parameters and scale 1."""
    # The public torch.distributions.Gamma takes no generator; the function below it does.
    concentration = shape.to(generator.device)
    samples = torch._standard_gamma(concentration, generator=generator)  # pyright: ignore[reportPrivateImportUsage]
    return samples.to(shape.device)


def gaussian_taps(sigma: float) -> tuple[float, ...]:
    """Weights of a Gaussian filter of `sigma` pixels, cut off at 3 sigma; their sum is 1."""
    radius = math.ceil(3 * sigma)
    taps = [math.exp(-0.5 * (n / sigma) ** 2) for n in range(-radius, radius + 1)]
    return tuple(tap / sum(taps) for tap in taps)


def blurred(field: Tensor, taps: Sequence[float]) -> Tensor:
    """(..., H, W) filtered by `taps` both ways: the part that needs nothing from outside."""
    height, width = (side - len(taps) + 1 for side in field.shape[-2:])
    # Sums of shifted fields: ten times as fast on a CPU as a convolution of one channel.
    field = _sum(field[..., n : n + height, :] * tap for n, tap in enumerate(taps))
    return _sum(field[..., n : n + width] * tap for n, tap in enumerate(taps))


def _sum(parts: Iterable[Tensor]) -> Tensor:
    return functools.reduce(torch.add, parts)


def blurred_normal(like: Tensor, generator: torch.Generator, channels: int, sigma: float) -> Tensor:
    """(..., channels, H, W) normal samples of variance 1, shaped by a Gaussian of `sigma` pixels.

    Drawn wider than wanted, so that the border is as noisy as the middle.
    """
    taps = gaussian_taps(sigma)
    norm = math.sqrt(sum(tap * tap for tap in taps))
    height, width = (side + len(taps) - 1 for side in like.shape[-2:])
    field = normal(like, generator, (*like.shape[:-3], channels, height, width))
    return blurred(field, [tap / norm for tap in taps])
