"""Fused calls answer as the plain ones, and are done without where they are missing."""

import pytest
import torch
import torch.nn.functional as F

from mdn.nets import mixed
from mdn.nets.unet import UNet, UNetConfig

X = torch.randn(2, 16, 9, 11, generator=torch.Generator().manual_seed(0))
WEIGHT = torch.randn(16, 16, 3, 3, generator=torch.Generator().manual_seed(1)) / 12


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_one_call_answers_as_two(dtype: torch.dtype, error: float) -> None:
    x = X.to(dtype).contiguous(memory_format=torch.channels_last)
    plain = F.conv2d(x.float(), WEIGHT.to(dtype).float(), padding=1)
    with torch.no_grad():
        if not mixed.usable(x):
            pytest.skip("this PyTorch has no such calls")
        assert torch.allclose(mixed.conv_relu(x, WEIGHT).float(), plain.relu(), atol=error)
        assert torch.allclose(mixed.conv_add(x, WEIGHT, x).float(), plain + x, atol=error)


def test_where_gradients_are_wanted_they_are_not_used() -> None:
    assert not mixed.usable(X)
    net = trained()
    net(torch.rand(1, 3, 16, 16)).sum().backward()
    assert all(float(p.grad.abs().sum()) > 0 for p in net.parameters() if p.grad is not None)


def test_a_library_without_them_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = trained(), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        with_them = net(x)
        monkeypatch.setattr(mixed, "conv_add", missing)
        mixed._works.cache_clear()
        try:
            assert not mixed.usable(x)
            assert torch.allclose(net(x), with_them, atol=1e-5)
        finally:
            mixed._works.cache_clear()


def test_nothing_in_doubt_is_as_planes_of_zeros() -> None:
    net = trained()
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        believed = net(x, visible=torch.ones(1, 1, 32, 32))
        assert torch.allclose(net(x), believed, atol=1e-5)


def missing(*args: object) -> torch.Tensor:
    raise AttributeError("no such call")


def trained() -> UNet:
    """A net whose last layer is not zero, as a trained one's."""
    torch.manual_seed(0)
    net = UNet(UNetConfig((16, 24), (2, 1)))
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
