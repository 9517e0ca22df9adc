"""Validation measures every picture under the noise that its row names."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mdn.training.recipe import WatchRecipe
from mdn.training.watch import Watch


@dataclass(frozen=True)
class Config:
    channels: int = 3
    levelled: bool = True


class Asked(nn.Module):
    """Gives back what it is shown, and remembers what it was told."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.config = Config(channels)
        self.told: list[float] = []

    def forward(self, x: Tensor, level: Tensor, keep: Tensor | None = None) -> Tensor:
        assert x.shape[1] == self.config.channels
        self.told.append(float(level) * 255)
        return x


@pytest.mark.parametrize("channels", [1, 3])
def test_all_pictures_of_a_row_have_its_noise(channels: int) -> None:
    pictures = [torch.full((3, 64, 64), 128, dtype=torch.uint8) for _ in range(3)]
    rows = WatchRecipe(rows=(("gaussian", 10.0), ("gaussian", 30.0)), pictures=3, crop=64)
    net: Any = Asked(channels)
    scores = Watch(pictures, rows, torch.device("cpu")).measure(net, contextlib.nullcontext())  # type: ignore[arg-type]
    assert net.told == pytest.approx([10, 10, 10, 30, 30, 30], rel=0.1)
    assert scores["gaussian-10"] == pytest.approx(28.1, abs=0.3)
    assert scores["gaussian-30"] == pytest.approx(18.6, abs=0.3)
