"""The MPI hourglass: its size, its mask, its batch statistics, any size of picture."""

import pytest
import torch
import torch.nn.functional as F

from mdn.nets.skip import BatchNorm, Skip, SkipConfig

TINY = SkipConfig(scales=2, width=4)


def lively(config: SkipConfig = TINY) -> Skip:
    torch.manual_seed(0)
    return Skip(config).eval()


@pytest.mark.parametrize(("per_channel", "count"), [(True, 747_395), (False, 746_115)])
def test_parameters_are_as_many_as_published(per_channel: bool, count: int) -> None:
    net = Skip(SkipConfig(mask_per_channel=per_channel))
    assert sum(p.numel() for p in net.parameters()) == count


@pytest.mark.parametrize("per_channel", [True, False])
def test_hidden_samples_are_not_looked_at(per_channel: bool) -> None:
    net = lively(SkipConfig(scales=2, width=4, mask_per_channel=per_channel))
    x = torch.rand(1, 3, 16, 16)
    visible = (torch.rand(1, 3 if per_channel else 1, 16, 16) > 0.3).float()
    changed = x + (1 - visible) * torch.rand_like(x)
    with torch.no_grad():
        torch.testing.assert_close(net(x, visible), net(changed, visible))
        assert not torch.allclose(net(x, visible), net(changed, visible.flip(-1)))


def test_one_scale_equals_the_plain_formula() -> None:
    net = lively(SkipConfig(scales=1, width=4))
    scale, x = net.scales, torch.rand(1, 3, 7, 9)
    visible = (torch.rand(1, 3, 7, 9) > 0.3).float()

    def bn(y: torch.Tensor) -> torch.Tensor:
        mean, var = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), keepdim=True, unbiased=False)
        return (y - mean) / (var + 1e-5).sqrt()

    def conv(layer: torch.nn.Conv2d, y: torch.Tensor, stride: int = 1) -> torch.Tensor:
        y = F.pad(y, (layer.kernel_size[0] // 2,) * 4, mode="reflect")
        return F.leaky_relu(bn(F.conv2d(y, layer.weight, layer.bias, stride=stride)), 0.2)

    with torch.no_grad():
        y = torch.cat([x * visible, visible], 1)
        deep = conv(scale.deep, conv(scale.down, y, stride=2))
        deep = deep.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :7, :9]
        y = conv(scale.mix, conv(scale.up, bn(torch.cat([conv(scale.skip, y), deep], 1))))
        expected = torch.sigmoid(F.conv2d(y, net.out.weight, net.out.bias))
        torch.testing.assert_close(net(x, visible), expected)


@pytest.mark.parametrize("scales", [1, 2])
def test_nothing_beyond_the_receptive_field_matters(
    scales: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchNorm, "forward", lambda self, x: x)
    net = lively(SkipConfig(scales=scales, width=4)).double()
    x, reach = torch.rand(1, 3, 64, 64, dtype=torch.float64), 0
    for place in range(30, 30 + 2**scales):
        changed = x.clone()
        changed[..., place, place] += 1
        with torch.no_grad():
            moved = ((net(x) - net(changed)).abs().amax((0, 1)) > 0).nonzero()
        reach = max(reach, int((moved - place).abs().max()))
    assert net.receptive_field - 2 <= reach <= net.receptive_field
