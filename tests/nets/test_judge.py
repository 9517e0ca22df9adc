"""The judge of the noise inside a denoiser."""

from __future__ import annotations

import pytest
import torch

from mdn.nets.judge import Judge, JudgeConfig
from mdn.nets.unet import UNet, UNetConfig

SMALL = UNetConfig(widths=(8, 12), blocks=(1, 1), sampled=True, judge=True)


@pytest.fixture
def net() -> UNet:
    torch.manual_seed(0)
    net = UNet(SMALL).eval()
    for parameter in net.parameters():  # so that no layer is still zero
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.05)
    return net


def test_windows_of_a_picture_are_pooled_in_any_order(net: UNet) -> None:
    windows = torch.rand(5, 3, 48, 64)
    found = net.judge.picture(windows)
    assert found.shape == (1, JudgeConfig().size)
    assert torch.allclose(found, net.judge.picture(windows.flip(0)), atol=1e-5)


def test_a_picture_seen_twice_is_judged_as_once(net: UNet) -> None:
    """Attention is a mean, not a sum: the size of the picture does not matter."""
    window = torch.rand(1, 3, 64, 64)
    once, twice = net.judge.picture(window), net.judge.picture(window.expand(2, -1, -1, -1))
    assert torch.allclose(once, twice, atol=1e-5)
    assert torch.allclose(once, net.judge(window), atol=1e-5)


@pytest.mark.parametrize("side", [32, 33, 47, 160])
def test_every_side_from_the_smallest_on_is_read(net: UNet, side: int) -> None:
    assert torch.isfinite(net.judge(torch.rand(1, 3, side, 32))).all()


def test_the_sigma_map_follows_the_curve_between_its_knots() -> None:
    judge = Judge(JudgeConfig(knots=3))
    with torch.no_grad():
        judge.curve.bias.copy_(torch.tensor([-4.0, -3.0, -2.0] * 3))
    descriptor = torch.zeros(1, JudgeConfig().size)
    brightness = torch.tensor([0.0, 0.25, 0.5, 1.0, 1.5]).expand(1, 3, 1, -1)
    found = judge.sigma_map(descriptor, brightness)[0, 0, 0]
    assert found.tolist() == pytest.approx([1 / 16, 3 / 32, 1 / 8, 1 / 4, 1 / 4])


def test_the_net_judges_for_itself_what_it_is_not_told(net: UNet) -> None:
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(net(x), net(x, noise=net.judge(x)), atol=1e-5)


def test_more_noise_told_changes_the_answer(net: UNet) -> None:
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        noise = net.judge(x)
        assert not torch.allclose(net(x, noise=noise), net(x, noise=noise, gain=3.0), atol=1e-4)


def test_the_sigma_map_is_that_of_each_two_by_two_pixels(net: UNet) -> None:
    x = torch.rand(1, 3, 64, 48)
    found = net.sigma_map(x, net.judge(x))
    assert found.shape == (1, 3, 32, 24)
    assert (found > 0).all()


def test_a_net_is_told_the_level_or_judges_it_but_not_both() -> None:
    with pytest.raises(ValueError, match="judges the noise itself"):
        UNetConfig(levelled=True, judge=True)
