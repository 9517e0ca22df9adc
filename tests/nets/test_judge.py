"""The judge of the noise inside a denoiser."""

import pytest
import torch

from mdn.nets.judge import FACTS, SOFT, Cells, Judge, JudgeConfig
from mdn.nets.unet import UNet, UNetConfig

SMALL = UNetConfig(widths=(8, 12), blocks=(1, 1), per_channel_mask=True, judge=True)


@pytest.fixture
def net() -> UNet:
    torch.manual_seed(0)
    net = UNet(SMALL).eval()
    for parameter in net.parameters():  # so that no layer is still zero
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.05)
    return net


def read(judge: Judge, windows: list[torch.Tensor]) -> torch.Tensor:
    """The descriptor of a picture."""
    return judge.pool(Cells.joined([judge.cells(window) for window in windows]))


def test_windows_of_a_picture_are_pooled_in_any_order(net: UNet) -> None:
    windows = [torch.rand(1, 3, 48, side) for side in (48, 64, 80)]
    found = read(net.judge, windows)
    assert found.shape == (1, JudgeConfig().size)
    assert torch.allclose(found, read(net.judge, windows[::-1]), atol=1e-5)


def test_a_picture_seen_twice_is_judged_as_once(net: UNet) -> None:
    """Attention is a mean, not a sum: the size of the picture does not matter."""
    window = torch.rand(1, 3, 64, 64)
    once, twice = read(net.judge, [window]), read(net.judge, [window, window])
    assert torch.allclose(once, twice, atol=1e-5)
    assert torch.allclose(once, net.judge(window), atol=1e-5)


def test_the_sigma_map_follows_the_curve_between_its_knots() -> None:
    judge = Judge(JudgeConfig(knots=3))
    levels = torch.log2(255 * (torch.tensor([0.0625, 0.125, 0.25] * 3) + SOFT))
    told, facts = torch.zeros(judge.config.hidden), torch.zeros(FACTS)
    descriptor = torch.cat([told, levels, facts])[None]
    brightness = torch.tensor([0.0, 0.25, 0.5, 1.0, 1.5]).expand(1, 3, 1, -1)
    found = judge.sigma_map(descriptor, brightness)[0, 0, 0]
    assert found.tolist() == pytest.approx([0.0625, 0.09375, 0.125, 0.25, 0.25], rel=1e-3)


@pytest.mark.parametrize("sigma", [5, 40])
def test_before_training_the_calmest_filters_tell_about_the_noise(sigma: float) -> None:
    """Of white noise they find a little less than there is."""
    judge = Judge(JudgeConfig())
    generator = torch.Generator().manual_seed(0)
    noisy = 0.5 + sigma / 255 * torch.randn(1, 3, 96, 96, generator=generator)
    found = judge.sigmas(judge(noisy))
    assert 0.3 * sigma / 255 < found.mean().item() < 1.05 * sigma / 255


def test_the_net_judges_for_itself_what_it_is_not_told(net: UNet) -> None:
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(net(x), net(x, noise=net.judge(x)), atol=1e-5)


def test_a_net_is_told_the_level_or_judges_it_but_not_both() -> None:
    with pytest.raises(ValueError, match="judges the noise itself"):
        UNetConfig(noise_conditioned=True, judge=True)
