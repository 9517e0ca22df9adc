"""Window attention through the compiled code: `attend`, differentiable, and when it `serves`."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from mdn.nets.native import library

_DTYPES = (torch.float32, torch.bfloat16)
# What the code was compiled for: tokens of a window, channels of a head.
_MAX_AREA, _SIZES = 64, (4, 8, 10, 16, 30, 32)


@dataclass(frozen=True)
class Windows:
    """How windows tile a picture.

    Attributes:
        heads: attention heads.
        down, across: (side of a window, shift) along the rows and the columns: with a shift, the
            windows at either end are clipped to it.
    """

    heads: int
    down: tuple[int, int]
    across: tuple[int, int]

    def shape(self, qkv: Tensor, bias: Tensor) -> ctypes.Array[ctypes.c_int]:
        """What the compiled code is told."""
        batch, height, width, dim = qkv.shape
        sizes = (batch, self.heads, dim // (3 * self.heads), bias.shape[1])
        return (ctypes.c_int * 10)(*sizes, height, *self.down, width, *self.across)


def serves(x: Tensor, dim: int, heads: int, window: int) -> bool:
    """Whether the compiled code can work on `x` (under autocast, if that is on)."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    fits = window**2 <= _MAX_AREA and dim // heads in _SIZES
    return fits and x.dtype in _DTYPES and dtype in _DTYPES and library() is not None


def attend(qkv: Tensor, bias: Tensor, windows: Windows) -> Tensor:
    """Softmax attention inside windows.

    Args:
        qkv: (B, H, W, 3 * dim), float32 or bfloat16; sums are in float32.
        bias: (heads, window, window, window, window), as `WindowAttention.bias` gives it.
        windows: their tiling.

    Returns:
        (B, H, W, dim).
    """
    if torch.is_grad_enabled() and (qkv.requires_grad or bias.requires_grad):
        return _Attend.apply(qkv, bias, windows)
    return _forward(qkv.contiguous(), bias.float().contiguous(), windows, None)


def _forward(qkv: Tensor, bias: Tensor, windows: Windows, log_sums: Tensor | None) -> Tensor:
    out = qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3)
    native = library()
    assert native is not None
    native.mdn_attend(
        windows.shape(qkv, bias),
        int(qkv.dtype == torch.bfloat16),
        *map(_pointer, (qkv, bias, out, log_sums)),
        torch.get_num_threads(),
    )
    return out


class _Attend(torch.autograd.Function):
    """Keeps a sum for each query and head, and computes the weights again for the gradient."""

    @staticmethod
    def forward(ctx: FunctionCtx, qkv: Tensor, bias: Tensor, windows: Windows) -> Tensor:
        qkv, whole = qkv.contiguous(), bias.float().contiguous()
        log_sums = torch.empty(*qkv.shape[:3], windows.heads)
        out = _forward(qkv, whole, windows, log_sums)
        ctx.save_for_backward(qkv, whole, out, log_sums)
        ctx.windows, ctx.dtype = windows, bias.dtype  # type: ignore[attr-defined]
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        qkv, bias, out, log_sums = ctx.saved_tensors  # type: ignore[attr-defined]
        grad = grads[0].to(out.dtype).contiguous()
        grad_qkv, grad_bias = torch.empty_like(qkv), torch.zeros_like(bias)
        native = library()
        assert native is not None
        native.mdn_attend_gradient(
            ctx.windows.shape(qkv, bias),  # type: ignore[attr-defined]
            int(qkv.dtype == torch.bfloat16),
            *map(_pointer, (qkv, bias, out, log_sums, grad, grad_qkv, grad_bias)),
            torch.get_num_threads(),
        )
        return grad_qkv, grad_bias.to(ctx.dtype), None  # type: ignore[attr-defined]


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)
