"""The choice of net after both have been tried on parts of the picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mdn.nets.unet import UNet, UNetConfig
from mdn.pipeline import reading, second_look
from mdn.pipeline.reading import NoiseReading, read_noise
from mdn.registry import store
from mdn.registry.model import Model, load_model

CONFIG = UNetConfig(widths=(8, 12), blocks=(1, 1), judge=True, gate=True, second_gate=True)
EVEN = (1 / 3,) * 3


@pytest.fixture
def model() -> Model:
    """Its second net is the first; the first gate is undecided, the second one is not."""
    torch.manual_seed(0)
    net = UNet(CONFIG).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    torch.nn.init.normal_(net.second_gate.last.weight)
    found = load_model(store.find("photo-fast"), torch.device("cpu"))
    return replace(found, net=net, multiple=net.multiple, card=replace(found.card, white=""))


def noisy(channels: int, *size: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (0.5 + 0.1 * torch.randn(channels, *size, generator=generator)).clamp(0, 1)


def read(model: Model, sample: Tensor) -> NoiseReading:
    assert isinstance(model.net, UNet)
    torch.nn.init.constant_(model.net.local.say.bias, 2.0)  # there is noise
    return read_noise(model.net, sample, second_look.chooser(model))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (33, 65), (260, 300)])
def test_pictures_of_any_size_and_channels_are_looked_at(
    model: Model, channels: int, size: tuple[int, int]
) -> None:
    found = read(model, noisy(channels, *size)).choice
    assert sum(found) == pytest.approx(1, abs=1e-5)
    assert found != pytest.approx(EVEN) or size == (1, 1)  # where there is nothing to see


def test_nothing_is_tried_without_noise_or_doubt_or_a_second_gate(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = UNet(replace(CONFIG, second_gate=False)).eval()
    assert read(replace(model, net=once), noisy(3, 64, 64)).choice == pytest.approx(EVEN)
    monkeypatch.setattr(second_look, "taken_out", lambda *_: pytest.fail("was tried"))
    monkeypatch.setattr(reading, "DECIDED", 0.3)  # the first gate is sure enough
    assert read(model, noisy(3, 64, 64)).choice == pytest.approx(EVEN)
    monkeypatch.undo()
    monkeypatch.setattr(second_look, "taken_out", lambda *_: pytest.fail("was tried"))
    monkeypatch.setattr(reading, "CLEAN", 256.0)
    assert read(model, noisy(3, 64, 64)).choice == pytest.approx(EVEN)


def test_a_large_picture_is_tried_in_a_few_parts(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []

    class Watched(torch.nn.Module):
        def forward(self, x: Tensor, noise: Tensor) -> Tensor:
            shapes.append(tuple(x.shape[2:]))
            return x

    other = replace(model, net=Watched())
    model = replace(model, card=replace(model.card, white="other"))
    monkeypatch.setattr(
        second_look, "with_net_of", lambda given, name: other if name == "other" else given
    )
    read(model, noisy(3, 1024, 1024))
    assert shapes == [(128, 128)] * second_look.PARTS
