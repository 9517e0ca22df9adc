"""What a net is told of a picture, and what becomes of the picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mdn import noise
from mdn.encoding import Display
from mdn.nets import Abilities
from mdn.nets.unet import UNet, UNetConfig
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import apply_net
from mdn.pipeline.judge import by_statistics, judge_sample
from mdn.pipeline.options import Options
from mdn.pipeline.sample import sample_for_estimation
from mdn.registry import store
from mdn.registry.model import Model, save_weights, write_card
from tests.pipeline.tools import denoised, load


def flat_picture() -> Tensor:
    """A smooth ramp with edges: (3, 192, 192)."""
    ramp = torch.linspace(0.15, 0.85, 192).expand(3, 192, 192).clone()
    ramp[:, 64:128, 64:128] = 0.3
    return ramp


def noisy(kind: str, level: float) -> Tensor:
    made = noise.add(flat_picture(), kind, level, torch.Generator().manual_seed(0))
    return (made.clamp(0, 1) * 255).round() / 255


class Recorder(nn.Module):
    """A net that returns its input and remembers what it was told."""

    def forward(self, x: Tensor, visible: Tensor | None, level: Tensor) -> Tensor:
        self.visible, self.level = visible, level
        return x


def infer(net: nn.Module, told: NoiseConditioning, x: Tensor, *, by_sample: bool = True) -> Tensor:
    """What comes of tiles (B, C, H, W) with a net that takes the noise's strength.

    by_sample: whether it takes a mask for each channel.
    """
    abilities = Abilities(takes_sigma=True, takes_masks=True, per_channel_mask=by_sample)
    model = Model(store.find("photo"), net, abilities, 0, 1)
    return apply_net(x, [(0, 0)] * len(x), told, model, Options())


def test_shot_noise_gets_a_stabiliser_whose_inverse_undoes_it() -> None:
    y = noisy("poisson", 3.0)
    told = by_statistics(y)
    assert told.stabiliser is not None
    output = infer(Recorder(), told, y[None])
    # Not the input: the unbiased inverse is for means, and differs from the algebraic one.
    assert float((output - y).abs().mean()) < 0.03


def test_impulses_are_doubted_and_nothing_else_much() -> None:
    y = noisy("salt-pepper", 0.05)
    net = Recorder()
    told = by_statistics(y)
    infer(net, told, y[None])
    struck = (y != (flat_picture() * 255).round() / 255)[None]
    doubted = net.visible == 0
    assert float((doubted & struck).sum() / struck.sum()) > 0.9
    assert float((doubted & ~struck).float().mean()) < 0.01


def test_a_net_with_one_mask_for_all_channels_gets_one() -> None:
    y = noisy("salt-pepper", 0.05)
    net, every = Recorder(), Recorder()
    infer(net, by_statistics(y), y[None], by_sample=False)
    infer(every, by_statistics(y), y[None])
    assert net.visible.shape == (1, 1, *y.shape[1:])
    assert torch.equal(net.visible, every.visible.amin(1, keepdim=True))


def test_a_clean_picture_is_left_alone() -> None:
    y = (flat_picture() * 255).round() / 255
    told = by_statistics(y)
    assert told.blend_weight < 0.2
    assert torch.allclose(infer(Recorder(), told, y[None]), y[None], atol=1e-3)


def test_it_is_told_how_strong_the_noise_is_at_each_pixel() -> None:
    y = noisy("speckle", 0.04)
    net = Recorder()
    infer(net, by_statistics(y, stabilise=False), y[None])
    assert net.level.shape == (1, 1, 192, 192)
    for columns in (slice(8, 56), slice(136, 184)):  # dark and bright
        strength = (y - flat_picture())[:, :, columns].std()
        assert float(net.level[..., columns].mean()) == pytest.approx(float(strength), rel=0.15)
    white = noisy("gaussian", 25)
    infer(net, by_statistics(white, stabilise=False), white[None])
    assert net.level.numel() == 1


def test_the_user_may_say_the_level() -> None:
    known = judge_sample(noisy("gaussian", 15), load("generalist-s15"), 30 / 255)
    assert known == NoiseConditioning(30 / 255)


def test_a_large_picture_is_seen_through_windows_of_all_of_it() -> None:
    page = np.zeros((3000, 2000, 1), np.uint8)
    page[2900:, 1900:] = 255
    sample = sample_for_estimation(page, Display(page.dtype).encode)
    assert (sample.shape, float(sample.max())) == ((1, 1024, 1024), 1)


@pytest.fixture
def told_model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = UNet(
        UNetConfig(widths=(8, 16), blocks=(1, 1), noise_conditioned=True, per_channel_mask=True)
    )
    nn.init.normal_(net.tail.weight, std=0.02)
    save_weights(tmp_path / "weights.safetensors", net, "unet", net.state_dict())
    about = {"title": "t", "summary": "s", "licence": "MIT", "training_data": "none"}
    write_card(tmp_path, net, "unet", "weights.safetensors", {"name": "told"} | about)
    return tmp_path


def page_of(kind: str, level: float) -> np.ndarray:
    return (noisy(kind, level) * 255).byte().permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("kind", "level"), [("gaussian", 20), ("poisson", 3), ("salt-pepper", 0.05)]
)
def test_tiles_equal_the_whole(told_model: Path, kind: str, level: float) -> None:
    page = page_of(kind, level)
    whole, tiled = (denoised(page, told_model, tile=tile) for tile in (512, 64))
    # An impulse on a tile's border is not looked for; the blend gives borders no weight.
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 1


class Shift(nn.Module):
    """A net that adds a picture."""

    def __init__(self, change: Tensor) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Tensor, visible: Tensor | None, level: Tensor) -> Tensor:
        return x + self.change


def test_in_a_dead_zone_a_sample_stays_bit_for_bit() -> None:
    x = 0.3 + 0.6 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    change = 0.2 * (torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) - 0.5)
    told = NoiseConditioning(5 / 255, dead_zone=8 / 255)
    y = infer(Shift(change), told, x)
    small = ((x + change) - x).abs() <= 8 / 255
    assert torch.equal(y[small], x[small])
    assert torch.equal(y[~small], (x + change)[~small])
    assert 0.1 < float(small.float().mean()) < 0.9
