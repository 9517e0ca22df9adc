"""Convolutions that follow a descriptor: rows of a batch, what is remembered, and the scale."""

import pytest
import torch

from mdn.nets.mixed import Condition, MixedConv
from mdn.nets.unet import MIDDLE, UNet, UNetConfig

CONFIG = UNetConfig(widths=(8, 12), blocks=(1, 1), judge=True, kernels=2)


def lively(seed: int = 0) -> UNet:
    """A net none of whose parts is at zero, as they begin."""
    torch.manual_seed(seed)
    net = UNet(CONFIG).eval()
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return net


def descriptors(net: UNet, count: int) -> torch.Tensor:
    return torch.randn(count, net.judge.config.size)


@torch.no_grad()
def test_pictures_of_a_batch_are_denoised_as_each_by_itself() -> None:
    net, x = lively(), torch.rand(3, 3, 48, 32)
    noise = descriptors(net, 3)
    together = net(x, noise=noise)
    alone = torch.cat([net(x[n : n + 1], noise=noise[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together[:1], net(x[:1], noise=noise[1:2]), atol=1e-3)


@torch.no_grad()
def test_what_is_remembered_of_a_picture_is_not_used_for_another_or_other_weights() -> None:
    net, x = lively(), torch.rand(1, 3, 48, 32)
    one, two = descriptors(net, 1), descriptors(net, 1)
    first = net(x, noise=one)
    torch.testing.assert_close(net(x, noise=one), first)
    other = net(x, noise=two)
    assert not torch.allclose(other, first, atol=1e-3)
    stronger = net(x, noise=two, gain=2.0)
    assert not torch.allclose(stronger, other, atol=1e-3)
    net.train()
    net.load_state_dict(lively(1).state_dict())
    net.eval()
    torch.testing.assert_close(net(x, noise=one), lively(1)(x, noise=one))


@torch.no_grad()
def test_it_scales_with_the_picture_and_its_noise() -> None:
    """f(a x, a sigma) = a f(x, sigma): the shifts scale as the sigmas do."""
    net, x = lively(), torch.rand(1, 3, 48, 32) - MIDDLE
    torch.nn.init.zeros_(net.conditions.told.weight)  # that the user says something is no scale
    noise, sigmas = descriptors(net, 1), 0.1 * torch.rand(1, 3, 24, 16)
    plain, triple = (
        net(a * x + MIDDLE, noise=noise, sigmas=sigmas, gain=a) - MIDDLE for a in (1.0, 3.0)
    )
    torch.testing.assert_close(triple, 3 * plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (MixedConv(4, 6, 3, 2), (6, 8, 8)),
        (MixedConv(4, 6, 2, 2, stride=2), (6, 4, 4)),
        (MixedConv(4, 6, 2, 2, stride=2, up=True), (6, 16, 16)),
    ],
)
def test_shares_of_one_and_none_are_a_single_kernel(layer: MixedConv, shape) -> None:
    x = torch.rand(1, 4, 8, 8)
    condition = Condition(
        torch.rand(1, 64), torch.rand(1, 88), torch.tensor([[0.0, 1.0]]), torch.zeros(1, 1)
    )
    y = layer(x, condition)
    assert y.shape[1:] == shape
    if layer.up:
        wanted = torch.nn.functional.conv_transpose2d(x, layer.kernels[1], stride=2)
    else:
        wanted = torch.nn.functional.conv2d(
            x, layer.kernels[1], stride=layer.stride, padding=layer.padding
        )
    torch.testing.assert_close(y, wanted)


@torch.no_grad()
def test_texture_lowers_the_map_where_it_says_so() -> None:
    net, x = lively(), torch.rand(1, 3, 64, 48)
    noise = net.judge(x)
    with_texture = net.sigma_map(x, noise)
    factor = 2 ** net.texture(x, net.judge, noise)
    torch.nn.init.zeros_(net.texture.say.weight)
    torch.nn.init.zeros_(net.texture.say.bias)
    torch.testing.assert_close(with_texture, net.sigma_map(x, noise) * factor)
    assert factor.shape == (1, 1, 32, 24)
