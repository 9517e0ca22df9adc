"""The compiled block against the plain one in double precision; and without a compiler."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mdn.nets import native, swinir
from mdn.nets.masking import MaskField, MaskKey
from mdn.nets.native import block
from mdn.nets.swinir import Block, SwinIRConfig

Results = tuple[Tensor, dict[str, Tensor]]

pytestmark = pytest.mark.skipif(native.library() is None, reason="no compiler here")
# dim, heads, window, MLP ratio: the paper's, the tests', and sizes that divide by nothing
SHAPES = [(60, 6, 8, 2.0), (12, 3, 4, 2.0), (20, 2, 6, 1.5), (32, 2, 8, 1.0)]
RATIOS = [0.0, 0.75, 1.0]


def lively(dim: int, heads: int, window: int, mlp_ratio: float, shifted: bool) -> Block:
    config = SwinIRConfig(depths=(1,), dim=dim, heads=heads, window=window, mlp_ratio=mlp_ratio)
    torch.manual_seed(0)
    net = Block(config, 0, shifted=shifted, drop=0.0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return net.eval()


def drawn(net: Block, ratio: float) -> tuple[Tensor, Tensor | None]:
    height, width = 2 * net.window, 3 * net.window
    x = torch.randn(2, height, width, net.norm.normalized_shape[0])
    field = MaskField(MaskKey(seed=1), 2, height, width)
    return x, field.keep(0, (ratio, ratio)) if ratio else None


def plain(net: Block, x: Tensor, keep: Tensor | None, scales: Tensor | None = None) -> Results:
    """In double precision, which the compiled code does not serve."""
    net, x = copy.deepcopy(net).double(), x.detach().double().requires_grad_()
    middle = x + swinir._scaled(net._attended(x, keep), scales, 0)
    out = middle + swinir._scaled(net._mlp(middle), scales, 1)
    return with_gradients(net, x, out)


def ours(net: Block, x: Tensor, keep: Tensor | None, scales: Tensor | None = None) -> Results:
    assert block.serves(x, net.operands(), net.layout)
    x = x.detach().requires_grad_()
    return with_gradients(net, x, block.run(x, keep, scales, net.layout, net.operands()))


def with_gradients(net: Block, x: Tensor, out: Tensor) -> Results:
    """The output, then what reaches x and each parameter of a slope drawn for the output."""
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(out.dtype)
    slopes = torch.autograd.grad(out, [x, *net.parameters()], upstream)
    names = ["x", *(name for name, _ in net.named_parameters())]
    return out.detach().float(), {n: s.float() for n, s in zip(names, slopes, strict=True)}


def close(one: Results, other: Results, out: float, slopes: float) -> None:
    """Gradients relative to the largest of their kind: they are sums of many terms."""
    assert (one[0] - other[0]).abs().max() < out
    for name, slope in one[1].items():
        expected = other[1][name]
        assert expected.isfinite().all(), name
        worst = (slope - expected).abs().max() / expected.abs().max().clamp(min=0.1)
        assert worst < slopes, (name, float(worst))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("ratio", RATIOS)
def test_output_and_gradients_equal_the_plain_block(
    shape: tuple[int, int, int, float], shifted: bool, ratio: float
) -> None:
    net = lively(*shape, shifted)
    x, keep = drawn(net, ratio)
    close(ours(net, x, keep), plain(net, x, keep), out=2e-5, slopes=2e-5)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("part", ["scores", "bias"])
def test_scores_beyond_what_an_exponential_holds(ratio: float, part: str) -> None:
    net = lively(60, 6, 8, 2.0, True)
    with torch.no_grad():
        net.attention.qkv.weight[:120].mul_(8 if part == "scores" else 1)
        net.attention.qkv.bias[:120].mul_(20 if part == "scores" else 1)
        net.attention.bias_table.mul_(500 if part == "bias" else 1)
    x, keep = drawn(net, ratio)
    # Float32 rounds a score of hundreds to 1e-5 of itself.
    close(ours(net, x, keep), plain(net, x, keep), out=5e-3, slopes=5e-3)


def test_stochastic_depth_scales_the_branches_of_each_sample() -> None:
    net = lively(60, 6, 8, 2.0, True)
    x, keep = drawn(net, 0.75)
    scales = torch.tensor([[0.0, 1.5], [2.0, 0.5]])
    close(ours(net, x, keep, scales), plain(net, x, keep, scales), out=3e-5, slopes=2e-5)


def test_threads_give_the_same_picture_and_each_time_the_same_gradients() -> None:
    net = lively(60, 6, 8, 2.0, True)
    x, keep = drawn(net, 0.75)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3, 3):
            torch.set_num_threads(threads)
            results.append(ours(net, x, keep))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0][0], results[1][0])
    close(results[1], results[0], out=1e-9, slopes=1e-5)
    for name, slope in results[1][1].items():
        assert torch.equal(slope, results[2][1][name])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ratio", [0.0, 0.75])
def test_bfloat16_autocast_rounds_products_only(
    shape: tuple[int, int, int, float], ratio: float
) -> None:
    net = lively(*shape, True)
    x, keep = drawn(net, ratio)
    with torch.autocast("cpu", torch.bfloat16):
        rough = ours(net, x, keep)
    assert rough[0].dtype == torch.float32
    exact = plain(net, x, keep)
    # A factor keeps 8 bits; some tens of products are summed.
    close(rough, exact, out=0.015 * float(exact[0].abs().max()), slopes=0.03)


def test_in_place_gives_the_same_bits() -> None:
    net = lively(60, 6, 8, 2.0, True)
    x, keep = drawn(net, 0.75)
    expected, _ = ours(net, x, keep)
    with torch.no_grad():
        assert block.overwrite(x, keep, net.layout, net.operands()) is x
    assert torch.equal(x, expected)


def test_a_value_that_is_no_number_stays_in_its_window() -> None:
    net = lively(60, 6, 8, 2.0, False)
    x, keep = drawn(net, 0.75)
    clean, _ = ours(net, x, keep)
    x[0, 3, 3, 5] = float("nan")
    assert keep is not None
    keep[0, 3, 3] = True
    marred, _ = ours(net, x, keep)
    assert marred[0, :8, :8].isnan().all()
    assert torch.equal(marred[0, 8:], clean[0, 8:])


def test_serves_what_it_was_compiled_for_only() -> None:
    layout, x = block.Layout(6, 8, 4), torch.zeros(1, 8, 8, 60)
    weight = [torch.zeros(60)]
    assert block.serves(x, weight, layout)
    assert not block.serves(x.double(), weight, layout)
    assert not block.serves(x.transpose(1, 2), weight, layout)
    assert not block.serves(x, [torch.zeros(60).bfloat16()], layout)
    assert not block.serves(x, weight, block.Layout(5, 8, 4))
    assert not block.serves(x, weight, block.Layout(1, 8, 4))
    assert not block.serves(x, weight, block.Layout(6, 16, 8))


@pytest.mark.parametrize("broken", ["absent", "failing", "off"])
def test_without_a_compiler_there_is_no_library(
    broken: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(native, "_cache", lambda: tmp_path)
    if broken == "absent":
        monkeypatch.setenv("CXX", str(tmp_path / "missing"))
    elif broken == "failing":
        monkeypatch.setenv("CXX", "false")
    else:
        monkeypatch.setenv("MDN_NATIVE", "off")
    assert native.library.__wrapped__() is None
    assert list(tmp_path.iterdir()) == []
