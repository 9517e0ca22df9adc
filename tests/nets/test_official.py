"""State dicts under the released names become ours, or are refused with one clear line."""

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from mdn.nets.official import convert_skip, convert_swinir
from mdn.nets.skip import Skip, SkipConfig
from mdn.nets.swinir import SwinIR
from tests.nets.swin_reference import official_state


def tiny() -> dict[str, Tensor]:
    return official_state((2, 4), dim=12, heads=3, window=4, training_size=16)


@pytest.mark.parametrize("shape", [(1, 1, 12), (1, 12, 1, 1)])
def test_a_mask_token_is_taken_along(shape: tuple[int, ...]) -> None:
    state = tiny() | {"mask_token": torch.arange(12.0).view(shape)}
    config, ours = convert_swinir(state)
    assert config.input_mask == "token"
    SwinIR(config).load_state_dict(ours)
    assert torch.equal(ours["mask_token"], torch.arange(12.0))


def test_single_convolution_groups() -> None:
    state = {k: v for k, v in tiny().items() if ".conv." not in k and "after_body" not in k}
    for name in ("layers.0.conv", "layers.1.conv", "conv_after_body"):
        state |= {f"{name}.weight": torch.rand(12, 12, 3, 3), f"{name}.bias": torch.rand(12)}
    config, ours = convert_swinir(state)
    assert config.residual == "1conv"
    SwinIR(config).load_state_dict(ours)


class Joined(nn.Sequential):
    """Side path and deeper path under the names "0" and "1", as Deep Image Prior joins them."""


def dip_scale(inputs: int, width: int, scales: int) -> nn.Sequential:
    """The published nesting: layers numbered from 1, padding before each convolution."""

    def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
        pad = nn.ReflectionPad2d(kernel // 2)
        return nn.Sequential(pad, nn.Conv2d(inputs, outputs, kernel, stride))

    def numbered(*layers: nn.Module) -> nn.Sequential:
        return nn.Sequential(
            OrderedDict((str(place), layer) for place, layer in enumerate(layers, 1))
        )

    def act() -> nn.Module:
        return nn.LeakyReLU(0.2)

    def norm(width: int) -> nn.Module:
        return nn.BatchNorm2d(width)

    below = [dip_scale(width, width, scales - 1)] if scales > 1 else []
    deeper = numbered(
        *(conv(inputs, width, 3, 2), norm(width), act()),
        *(conv(width, width, 3), norm(width), act()),
        *below,
        nn.Upsample(scale_factor=2),
    )
    side = numbered(conv(inputs, width, 1), norm(width), act())
    return numbered(
        *(Joined(side, deeper), norm(2 * width)),
        *(conv(2 * width, width, 3), norm(width), act()),
        *(conv(width, width, 1), norm(width), act()),
    )


def dip_state(inputs: int, width: int, scales: int) -> dict[str, Tensor]:
    torch.manual_seed(3)
    net = dip_scale(inputs, width, scales)
    net.add_module("9", nn.Sequential(nn.ReflectionPad2d(0), nn.Conv2d(width, 3, 1)))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    return net.state_dict()


@pytest.mark.parametrize(("inputs", "per_channel"), [(6, True), (4, False)])
def test_skip_nets_load_by_order(inputs: int, per_channel: bool) -> None:
    state = dip_state(inputs, 64, 5)
    config, ours = convert_skip({"state_dict": state})
    assert config == SkipConfig(mask_per_channel=per_channel)
    Skip(config).load_state_dict(ours)
    assert torch.equal(ours["scales.skip.weight"], state["1.0.1.1.weight"])
    assert torch.equal(ours["scales.down.bias"], state["1.1.1.1.bias"])
    assert torch.equal(ours["scales.below.deep_norm.bias"], state["1.1.7.1.1.5.bias"])
    assert torch.equal(ours["scales.mix.weight"], state["6.1.weight"])
    assert torch.equal(ours["out.weight"], state["9.1.weight"])
