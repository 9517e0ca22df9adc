"""The bias-free U-Net: its size, its reach, and its scale-equivariance."""

import pytest
import torch

from mdn.nets import config
from mdn.nets.unet import MIDDLE, UNet, UNetConfig


def lively(config: UNetConfig = UNetConfig(widths=(4, 8), blocks=(1, 1))) -> UNet:
    torch.manual_seed(0)
    net = UNet(config).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    return net


@pytest.mark.parametrize("more", [{}, {"judge": True, "kernels": 2}], ids=str)
def test_it_starts_as_the_identity(more: dict) -> None:
    x = torch.rand(2, 3, 48, 48)
    torch.testing.assert_close(UNet(UNetConfig(widths=(8, 12), blocks=(1, 1), **more))(x), x)


def test_it_is_scale_equivariant_about_mid_gray() -> None:
    net, x = lively(), torch.rand(1, 3, 16, 16) - MIDDLE
    torch.testing.assert_close(
        net(3 * x + MIDDLE) - MIDDLE, 3 * (net(x + MIDDLE) - MIDDLE), atol=1e-5, rtol=1e-5
    )


def test_masked_pixels_are_not_looked_at() -> None:
    net, x = lively(), torch.rand(1, 3, 16, 16)
    visible = (torch.rand(1, 1, 16, 16) > 0.5).float()
    changed = x + (1 - visible) * torch.rand_like(x)
    torch.testing.assert_close(net(x, visible), net(changed, visible))
    assert not torch.allclose(net(x), net(changed))


def test_nothing_beyond_the_receptive_field_matters() -> None:
    net = lively()
    x = torch.rand(1, 3, 96, 96, dtype=torch.float64)
    net, radius = net.double(), net.receptive_field
    changed = x.clone()
    changed[..., 48, 48] += 1
    moved = (net(x) - net(changed)).abs().amax((0, 1)) > 0
    rows, columns = torch.nonzero(moved, as_tuple=True)
    reach = max((rows - 48).abs().max().item(), (columns - 48).abs().max().item())
    assert radius - net.multiple - 4 <= reach <= radius


def test_guides_are_looked_at_and_none_stands_for_zeros() -> None:
    net, x = lively(UNetConfig(widths=(4, 8), blocks=(1, 1), guides=2)), torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(net(x), net(x, guide=torch.zeros(2, 2, 16, 16)))
    assert not torch.allclose(net(x), net(x, guide=torch.rand(2, 2, 16, 16)))
    with pytest.raises(ValueError, match="guides"):
        UNetConfig(guides=-1)


def test_a_config_of_a_development_version_is_read() -> None:
    """As the weights of a net without gates named them."""
    table = {"widths": [8, 16], "blocks": [1, 1], "gate": False, "second_gate": False}
    assert config("unet", table) == UNetConfig(widths=(8, 16), blocks=(1, 1))
    with pytest.raises(TypeError, match="gate"):
        config("unet", table | {"gate": True})
