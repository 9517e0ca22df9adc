"""Masked SwinIR: its size, its masks, its reach, its gradients, and a slow reference to equal."""

import dataclasses
from typing import Any

import pytest
import torch

from mdn.nets import swinir
from mdn.nets.masking import MaskField, MaskKey
from mdn.nets.official import convert_swinir
from mdn.nets.swinir import SwinIR, SwinIRConfig
from tests.nets import swin_reference as reference

TINY = SwinIRConfig(depths=(2, 2), dim=12, heads=3, window=4)


def lively(config: SwinIRConfig = TINY) -> SwinIR:
    """A net whose every part matters: the default start has small weights and no biases."""
    torch.manual_seed(0)
    net = SwinIR(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return net


def variant(**changes: Any) -> SwinIRConfig:
    return dataclasses.replace(TINY, **changes)


@pytest.mark.parametrize("ratio", [0.0, 0.75])
@pytest.mark.parametrize("size", [(8, 8), (12, 20)])
@pytest.mark.parametrize("grad", [False, True])
def test_equals_the_slow_reference(ratio: float, size: tuple[int, int], grad: bool) -> None:
    torch.manual_seed(1)
    state = reference.official_state((2, 2), dim=12, heads=3, window=4, training_size=16)
    config, ours = convert_swinir(state, attention_ratio=(ratio, ratio))
    net = SwinIR(config).eval()
    net.load_state_dict(ours)
    x = torch.rand(2, 3, *size)
    field = MaskField(MaskKey(seed=5), 2, *size)

    def masks(layer: int) -> torch.Tensor | None:
        return field.keep(layer, (ratio, ratio)).float() if ratio else None

    with torch.set_grad_enabled(grad):
        out = net(x, seed=5)
    expected = reference.denoise(state, x, masks, heads=3, window=4)
    torch.testing.assert_close(out.detach(), expected, atol=1e-4, rtol=1e-4)


def test_strips_do_not_change_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = lively(), torch.rand(1, 3, 40, 24)
    with torch.no_grad():
        whole = net(x, seed=1)
        monkeypatch.setattr(swinir, "_STRIP_TOKENS", 1)
        torch.testing.assert_close(net(x, seed=1), whole, atol=1e-6, rtol=1e-5)


def test_a_tile_equals_its_place_in_the_whole() -> None:
    """Bit for bit in the masks, and to rounding in the picture, beyond the receptive field."""
    net = lively().double()
    margin = -(-net.receptive_field // 4) * 4
    x = torch.rand(1, 3, 2 * margin + 16, 2 * margin + 8, dtype=torch.float64)
    whole = torch.nn.functional.pad(x, (16, 16, 8, 8), mode="reflect")
    with torch.no_grad():
        tile = net(x, seed=4, origin=(8, 16))
        inside = net(whole, seed=4)[..., 8:-8, 16:-16]
    middle = (..., slice(margin, -margin), slice(margin, -margin))
    torch.testing.assert_close(tile[middle], inside[middle], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("config", [TINY, variant(depths=(1, 3), residual="1conv")])
def test_nothing_beyond_the_receptive_field_matters(config: SwinIRConfig) -> None:
    net = lively(dataclasses.replace(config, attention_ratio=(0.0, 0.0))).double()
    size = 12 * config.window
    x = torch.rand(1, 3, size, size, dtype=torch.float64)
    reach = 0
    for place in range(size // 2, size // 2 + config.window):
        changed = x.clone()
        changed[..., place, place] += 1
        with torch.no_grad():
            moved = ((net(x) - net(changed)).abs().amax((0, 1)) > 0).nonzero()
        reach = max(reach, int((moved - place).abs().max()))
    assert reach == net.receptive_field


@pytest.mark.parametrize("kind", ["token", "zero", "pixel"])
def test_masked_pixels_are_not_looked_at(kind: str) -> None:
    net = lively(variant(input_mask=kind))
    x = torch.rand(1, 3, 16, 16)
    keep = MaskField(MaskKey(seed=2), 1, 16, 16).keep(swinir._INPUT_STREAM, TINY.input_ratio)
    changed = torch.where(keep[:, None], x, torch.rand_like(x))
    with torch.no_grad():
        masked = net(x, seed=2, mask_input=True)
        torch.testing.assert_close(net(changed, seed=2, mask_input=True), masked)
        assert not torch.allclose(net(x, seed=2), masked, atol=1e-4)
        if kind == "pixel":
            told = torch.where(keep[:, None], x, -0.1)
            torch.testing.assert_close(net(told, seed=2), masked)


def test_input_mask_follows_the_mode_and_none_means_none() -> None:
    x = torch.rand(1, 3, 16, 16)
    net = lively(variant(drop_path=0.0))
    torch.testing.assert_close(net.train()(x), net.eval()(x, mask_input=True))
    bare = lively(variant(input_mask="none", drop_path=0.0))
    torch.testing.assert_close(bare.train()(x), bare.eval()(x))


def test_baseline_ignores_the_seed() -> None:
    net = lively(variant(input_mask="none", attention_ratio=(0.0, 0.0)))
    x = torch.rand(1, 3, 16, 16)
    assert not net.masked
    with torch.no_grad():
        assert torch.equal(net(x, seed=1), net(x, seed=2))


def test_stochastic_depth_is_drawn_from_the_seed_and_keeps_the_mean() -> None:
    net = lively(variant(input_mask="none", attention_ratio=(0.0, 0.0), drop_path=0.5)).train()
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        outs = net(x.expand(64, -1, -1, -1), seed=torch.arange(64))
        torch.testing.assert_close(net(x, seed=3), outs[3:4], atol=1e-5, rtol=1e-5)
        assert outs.std(0).mean().item() > 1e-4
        assert torch.equal(net(x, seed=3), net(x, seed=3))


@pytest.mark.parametrize("ratio", [0.0, 0.75])
def test_gradients_equal_torchs_own_and_reach_every_parameter(ratio: float) -> None:
    net = lively(variant(attention_ratio=(ratio, ratio), input_mask="token", window=8, dim=24))
    x = torch.rand(2, 3, 24, 16, requires_grad=True)
    weight = torch.randn(2, 3, 24, 16)

    def gradients() -> list[torch.Tensor]:
        out = net(x, seed=1, mask_input=True)
        return list(torch.autograd.grad((out * weight).sum(), [x, *net.parameters()]))

    own = gradients()
    assert all(gradient.abs().max() > 0 for gradient in own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mdn.nets.window_attention.attend", stock_attention)
        for ours, theirs in zip(own, gradients(), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def stock_attention(qkv: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


def test_bfloat16_autocast_stays_close_and_trains() -> None:
    net, x = lively(), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        exact = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = net(x)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max().item() < 0.05 * exact.abs().max().item()
    with torch.autocast("cpu", torch.bfloat16):
        net(x).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
