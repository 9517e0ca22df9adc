"""The compiled attention against a plain one in PyTorch, and the fall-back without a compiler."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mdn.nets import native
from mdn.nets.native.attention import Windows, attend, serves
from mdn.nets.window_attention import relative_index
from tests.nets.swin_reference import region_mask

pytestmark = pytest.mark.skipif(native.library() is None, reason="no compiler here")
# heads, channels of a head, window
SHAPES = [(6, 10, 8), (3, 4, 4), (2, 8, 8), (2, 16, 8), (2, 30, 8)]


def drawn(heads: int, size: int, window: int, gain: float) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    qkv = torch.randn(2, 3 * window, 2 * window, 3 * heads * size) * gain
    table = torch.randn((2 * window - 1) ** 2, heads)
    upstream = torch.randn(*qkv.shape[:3], heads * size)
    return qkv.requires_grad_(), table.requires_grad_(), upstream


def whole_bias(table: Tensor, window: int) -> Tensor:
    return table[relative_index(window).flatten()].T.reshape(-1, *(window,) * 4)


def plain(qkv: Tensor, bias: Tensor, heads: int, window: int, shift: int) -> Tensor:
    batch, height, width, _ = qkv.shape
    area, grid = window**2, (height // window, window, width // window, window)
    rolled = torch.roll(qkv, (-shift, -shift), (1, 2)).view(batch, *grid, 3, heads, -1)
    query, key, value = rolled.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(
        3, -1, heads, area, rolled.shape[-1]
    )
    scores = query @ key.transpose(-1, -2) / rolled.shape[-1] ** 0.5
    scores = scores + bias.reshape(heads, area, area)
    if shift:
        # -100 is the published mask; scores here reach further.
        scores = scores + 100 * region_mask(height, width, window).repeat(batch, 1, 1)[:, None]
    out = (scores.softmax(-1) @ value).view(batch, grid[0], grid[2], heads, window, window, -1)
    out = out.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, height, width, -1)
    return torch.roll(out, (shift, shift), (1, 2))


@pytest.mark.parametrize(("heads", "size", "window"), SHAPES)
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("gain", [1.0, 6.0])
def test_output_and_gradients(
    heads: int, size: int, window: int, shifted: bool, gain: float
) -> None:
    """With a gain of 6 the scores reach hundreds, beyond what an exponential in float32 holds."""
    qkv, table, upstream = drawn(heads, size, window, gain)
    shift = window // 2 if shifted else 0
    expected = plain(qkv, whole_bias(table, window), heads, window, shift)
    theirs = torch.autograd.grad((expected * upstream).sum(), [qkv, table])
    windows = Windows(heads, (window, shift), (window, shift))
    out = attend(qkv, whole_bias(table, window), windows)
    ours = torch.autograd.grad((out * upstream).sum(), [qkv, table])
    for one, other in zip((out, *ours), (expected, *theirs), strict=True):
        assert (one - other).abs().max() < 1e-4 * other.abs().max()
    with torch.no_grad():
        assert torch.equal(attend(qkv, whole_bias(table, window), windows), out)


def test_bfloat16_rounds_only_what_comes_and_goes() -> None:
    qkv, table, upstream = drawn(6, 10, 8, 1.0)
    windows, bias = Windows(6, (8, 4), (8, 4)), whole_bias(table, 8)
    half = qkv.detach().bfloat16().requires_grad_()
    exact = attend(half.float(), bias, windows)
    rough = attend(half, bias, windows)
    assert rough.dtype == torch.bfloat16
    assert torch.equal(rough, exact.bfloat16())
    slopes = torch.autograd.grad((exact * upstream).sum(), [half, table], retain_graph=True)
    rounded = torch.autograd.grad((rough * upstream.bfloat16()).sum(), [half, table])
    for one, other in zip(rounded, slopes, strict=True):
        assert (one - other).abs().max() < 0.02 * other.abs().max()


def test_a_strip_equals_its_rows_of_the_whole() -> None:
    qkv, table, _ = drawn(6, 10, 8, 1.0)
    with torch.no_grad():
        bias = whole_bias(table, 8)
        whole = attend(qkv, bias, Windows(6, (8, 4), (8, 4)))
        top = attend(qkv[:, :4], bias, Windows(6, (4, 0), (8, 4)))
        middle = attend(qkv[:, 4:12], bias, Windows(6, (8, 0), (8, 4)))
    assert torch.equal(torch.cat([top, middle], 1), whole[:, :12])


def test_serves_what_it_was_compiled_for_only() -> None:
    x = torch.zeros(1, 8, 8, 60)
    assert serves(x, 60, 6, 8)
    assert not serves(x.double(), 60, 6, 8)
    assert not serves(x, 60, 1, 8)
    assert not serves(x, 60, 5, 8)
    assert not serves(x, 60, 6, 16)
    with torch.autocast("cpu", torch.float16):
        assert not serves(x, 60, 6, 8)


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
