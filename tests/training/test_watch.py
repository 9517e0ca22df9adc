"""Validation measures every picture under the noise that its row names."""

import contextlib
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from torch import Tensor

from mdn.errors import UsageError
from mdn.nets.unet import UNet, UNetConfig
from mdn.training.recipe import DataRecipe, Recipe, WatchRecipe
from mdn.training.watch import Watch, load_pairs


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
    scores = watch.measure(net, contextlib.nullcontext())
    assert sigmas == pytest.approx([10, 10, 10, 30, 30, 30], rel=0.1)
    assert scores["gaussian-10"] == pytest.approx(28.1, abs=0.3)
    assert scores["gaussian-30"] == pytest.approx(18.6, abs=0.3)


def test_real_noise_is_measured_against_what_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, shade in (("noisy", 110), ("gt", 100)):
        (tmp_path / folder).mkdir()
        iio.imwrite(tmp_path / folder / "a.png", np.full((40, 50, 3), shade, np.uint8))
    monkeypatch.setattr(UNet, "forward", lambda self, x: x)
    net = UNet(UNetConfig((4,), (1,), judge=True))
    watched = Recipe("x", "unet", DataRecipe(("x",)), (), {"judge": True})
    pairs = {"cameras": load_pairs(tmp_path)}
    watch = Watch([], watched, torch.device("cpu"), pairs)
    assert watch.names() == ["cameras"]
    scores = watch.measure(net, contextlib.nullcontext())
    assert scores == {"cameras": pytest.approx(20 * np.log10(255 / 10), abs=1e-3)}


def test_pairs_of_other_names_are_refused(tmp_path: Path) -> None:
    for folder, name in (("noisy", "a"), ("gt", "b")):
        (tmp_path / folder).mkdir()
        iio.imwrite(tmp_path / folder / f"{name}.png", np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(UsageError, match="different names"):
        load_pairs(tmp_path)
