"""Banding: found where it is, with its offsets, and nowhere else."""

import pytest
import torch
from torch import Tensor

from mdn.noise.analysis.banding import STRIP, offsets, steps
from tests.noise.analysis.test_estimate import scene, stored
from tests.noise.synthesis.moments import generator


def found(x: Tensor) -> Tensor | None:
    strips = x.split(STRIP, 2)
    return offsets(torch.stack([steps(strip) for strip in strips if strip.shape[2] == STRIP]))


def banded(level: float, channels: int = 1, sigma: float = 0.0) -> tuple[Tensor, Tensor]:
    """A scene with row offsets, shared by the channels or not, and white noise; the offsets."""
    rows = torch.randn(channels, 192, 1, generator=generator(1)) * level / 255
    white = torch.randn(3, 192, 192, generator=generator(2)) * sigma / 255
    return stored(0.1 + 0.8 * scene() + rows + white), rows[..., 0].expand(3, -1)


@pytest.mark.parametrize(
    ("channels", "level", "sigma"), [(1, 5.0, 0.0), (1, 15.0, 0.0), (1, 8.0, 15.0), (3, 8.0, 0.0)]
)
def test_the_offsets_are_those_that_were_added(channels: int, level: float, sigma: float) -> None:
    x, truth = banded(level, channels, sigma)
    rows = found(x)
    left = (rows - truth) - (rows - truth).mean(1, keepdim=True)
    assert float(left.std()) < 0.35 * level / 255
    assert torch.equal(rows[0], rows[2]) == (channels == 1)
