"""The bias-free U-Net: its reach, its scale, its judge, mixed kernels and fused calls."""

import pytest
import torch
import torch.nn.functional as F

from mdn.nets import config, mixed
from mdn.nets.judge import FACTS, SOFT, Cells, Judge, JudgeConfig
from mdn.nets.mixed import Condition, MixedConv
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
    return net.to(memory_format=torch.channels_last)


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


CONFIG = UNetConfig(widths=(8, 12), blocks=(1, 1), judge=True, kernels=2)


def lively_of_mixed(seed: int = 0) -> UNet:
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
    net, x = lively_of_mixed(), torch.rand(3, 3, 48, 32)
    noise = descriptors(net, 3)
    together = net(x, noise=noise)
    alone = torch.cat([net(x[n : n + 1], noise=noise[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together[:1], net(x[:1], noise=noise[1:2]), atol=1e-3)


@torch.no_grad()
def test_what_is_remembered_of_a_picture_is_not_used_for_another_or_other_weights() -> None:
    net, x = lively_of_mixed(), torch.rand(1, 3, 48, 32)
    one, two = descriptors(net, 1), descriptors(net, 1)
    first = net(x, noise=one)
    torch.testing.assert_close(net(x, noise=one), first)
    other = net(x, noise=two)
    assert not torch.allclose(other, first, atol=1e-3)
    stronger = net(x, noise=two, gain=2.0)
    assert not torch.allclose(stronger, other, atol=1e-3)
    net.train()
    net.load_state_dict(lively_of_mixed(1).state_dict())
    net.eval()
    torch.testing.assert_close(net(x, noise=one), lively_of_mixed(1)(x, noise=one))


@torch.no_grad()
def test_it_scales_with_the_picture_and_its_noise() -> None:
    """f(a x, a sigma) = a f(x, sigma): the shifts scale as the sigmas do."""
    net, x = lively_of_mixed(), torch.rand(1, 3, 48, 32) - MIDDLE
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
    net, x = lively_of_mixed(), torch.rand(1, 3, 64, 48)
    noise = net.judge(x)
    with_texture = net.sigma_map(x, noise)
    factor = 2 ** net.texture(x, net.judge, noise)
    torch.nn.init.zeros_(net.texture.say.weight)
    torch.nn.init.zeros_(net.texture.say.bias)
    torch.testing.assert_close(with_texture, net.sigma_map(x, noise) * factor)
    assert factor.shape == (1, 1, 32, 24)
