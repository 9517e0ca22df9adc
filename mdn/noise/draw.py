"""Random fields, drawn on the generator's device: a CPU generator gives all devices the same."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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


def on_device(level: float | Tensor, like: Tensor) -> Tensor:
    """The level as a tensor that can be multiplied with `like`."""
    return torch.as_tensor(level, dtype=like.dtype, device=like.device)


def gamma(shape: Tensor, generator: torch.Generator) -> Tensor:
    """Gamma samples of the given shape parameters and scale 1."""
    # The public torch.distributions.Gamma takes no generator; the function below it does.
    concentration = shape.to(generator.device)
    drawn = torch._standard_gamma(concentration, generator=generator)  # pyright: ignore[reportPrivateImportUsage]
    return drawn.to(shape.device)
