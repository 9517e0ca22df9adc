"""Validation measures every picture under the noise that its row names."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import Tensor

from mdn.nets.unet import UNet, UNetConfig
from mdn.training.recipe import DataRecipe, Recipe, WatchRecipe
from mdn.training.watch import Watch


@pytest.mark.parametrize("channels", [1, 3])
def test_all_pictures_of_a_row_have_its_noise(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sigmas: list[float] = []

    def forward(self: UNet, x: Tensor, level: Tensor) -> Tensor:
        assert x.shape[1] == channels
        sigmas.append(float(level) * 255)
        return x

    monkeypatch.setattr(UNet, "forward", forward)
    net = UNet(UNetConfig((4,), (1,), channels, noise_conditioned=True))
    pictures = [torch.full((3, 64, 64), 128, dtype=torch.uint8) for _ in range(3)]
    rows = WatchRecipe(rows=(("gaussian", 10.0), ("gaussian", 30.0)), pictures=3, crop=64)
    recipe = Recipe("x", "unet", DataRecipe(("x",)), (), {"channels": channels}, watch=rows)
    watch = Watch(pictures, recipe, torch.device("cpu"))
    scores = watch.measure(net, contextlib.nullcontext())  # type: ignore[arg-type]
    assert sigmas == pytest.approx([10, 10, 10, 30, 30, 30], rel=0.1)
    assert scores["gaussian-10"] == pytest.approx(28.1, abs=0.3)
    assert scores["gaussian-30"] == pytest.approx(18.6, abs=0.3)
