"""The compiled block against the plain one in PyTorch, at double precision."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from mdn.nets import native
from mdn.nets.masking import MaskField, MaskKey
from mdn.nets.native import block
from mdn.nets.swinir import Block, SwinIRConfig

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


@torch.no_grad()
def plain(net: Block, x: Tensor, keep: Tensor | None) -> Tensor:
    """In double precision, which the compiled code does not serve."""
    return copy.deepcopy(net).double()._overwrite(x.double(), keep).float()


@torch.no_grad()
def ours(net: Block, x: Tensor, keep: Tensor | None) -> Tensor:
    parameters = net.operands()
    assert block.serves(x, parameters, net.layout)
    return block.run(x, keep, net.layout, parameters)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("ratio", RATIOS)
def test_equals_the_plain_block(
    shape: tuple[int, int, int, float], shifted: bool, ratio: float
) -> None:
    net = lively(*shape, shifted)
    x, keep = drawn(net, ratio)
    torch.testing.assert_close(ours(net, x, keep), plain(net, x, keep), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("part", ["scores", "bias"])
def test_scores_beyond_what_an_exponential_holds(ratio: float, part: str) -> None:
    net = lively(60, 6, 8, 2.0, True)
    with torch.no_grad():
        net.attention.qkv.weight[:120].mul_(8 if part == "scores" else 1)
        net.attention.qkv.bias[:120].mul_(20 if part == "scores" else 1)
        net.attention.bias_table.mul_(500 if part == "bias" else 1)
    x, keep = drawn(net, ratio)
    expected = plain(net, x, keep)
    # Float32 rounds a score of hundreds to 1e-5 of itself.
    torch.testing.assert_close(ours(net, x, keep), expected, atol=5e-3, rtol=1e-3)


def test_two_threads_give_the_same_bits_in_place() -> None:
    net = lively(60, 6, 8, 2.0, True)
    x, keep = drawn(net, 0.75)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    one = ours(net, x, keep)
    try:
        torch.set_num_threads(2)
        with torch.no_grad():
            block.run(x, keep, net.layout, net.operands(), out=x)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(x, one)


def test_a_value_that_is_no_number_stays_in_its_window() -> None:
    net = lively(60, 6, 8, 2.0, False)
    x, keep = drawn(net, 0.75)
    clean = ours(net, x, keep)
    x[0, 3, 3, 5] = float("nan")
    assert keep is not None
    keep[0, 3, 3] = True
    marred = ours(net, x, keep)
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
