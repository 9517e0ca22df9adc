"""A block of SwinIR through the compiled code: `run`, `overwrite`, and when it `serves`.

Nothing but the tokens leaves the cache, and they stay float32. Under bfloat16 autocast
the factors of products with the weights are rounded to it, where the processor multiplies them
(Intel AMX, or AVX512-BF16).
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from mdn.nets.native import library

# What the code was compiled for: tokens of a window, channels of a head.
_MAX_AREA, _SIZES = 64, (4, 8, 10, 16, 30, 32)


@dataclass(frozen=True)
class Layout:
    """How a block divides its tokens."""

    heads: int  # attention heads
    window: int  # side of a window
    shift: int  # with a shift, the windows at either end are clipped to it


def serves(x: Tensor, parameters: Sequence[Tensor], layout: Layout) -> bool:
    """Whether the compiled code can work on `x`, (B, H, W, dim)."""
    if x.device.type != "cpu" or not x.is_contiguous() or torch.compiler.is_compiling():
        return False
    fits = layout.window**2 <= _MAX_AREA and x.shape[-1] // layout.heads in _SIZES
    plain = all(tensor.dtype == torch.float32 for tensor in (x, *parameters))
    return fits and plain and library() is not None


def run(
    x: Tensor,
    keep: Tensor | None,
    scales: Tensor | None,
    layout: Layout,
    parameters: Sequence[Tensor],
) -> Tensor:
    """Both branches of a block, x plus attention, plus MLP; differentiable.

    Args:
        x: (B, H, W, dim), float32, contiguous, H and W multiples of the window's side.
        keep: attention mask, bool (B, H, W), True where a token is kept.
        scales: (2, B), float32: what the two branches are multiplied by; None is 1.
        parameters: LayerNorm (weight, bias), qkv (weight, bias), relative bias (heads, window,
            window, window, window), projection, LayerNorm and both layers of the MLP (weight, bias
            each); float32.

    Returns:
        (B, H, W, dim).
    """
    return _Block.apply(x, keep, scales, layout, _half(), *parameters)


def overwrite(
    x: Tensor, keep: Tensor | None, layout: Layout, parameters: Sequence[Tensor]
) -> Tensor:
    """`run` in place, without gradients."""
    return _forward(x, keep, None, layout, _half(), parameters, x)


def _forward(
    x: Tensor,
    keep: Tensor | None,
    scales: Tensor | None,
    layout: Layout,
    half: bool,
    parameters: Sequence[Tensor],
    out: Tensor,
) -> Tensor:
    # Held until the call is over: a copy made contiguous has no other owner.
    held, keep, scales = _contiguous(parameters, keep, scales)
    _library().mdn_block(
        _shape(x, held, layout, half),
        _pointers(held),
        *map(_pointer, (keep, scales, x, out)),
        torch.get_num_threads(),
    )
    return out


class _Block(torch.autograd.Function):
    """Keeps its input alone, and computes everything again for the gradient."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        keep: Tensor | None,
        scales: Tensor | None,
        layout: Layout,
        half: bool,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(x, keep, scales, *parameters)  # type: ignore[arg-type]
        ctx.layout, ctx.half = layout, half  # type: ignore[attr-defined]
        return _forward(x, keep, scales, layout, half, parameters, torch.empty_like(x))

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, keep, scales, *parameters = ctx.saved_tensors  # type: ignore[attr-defined]
        held, keep, scales = _contiguous(parameters, keep, scales)
        grad, grad_x = grad.float().contiguous(), torch.empty_like(x)
        sums = [torch.zeros_like(parameter) for parameter in held]
        _library().mdn_block_gradient(
            _shape(x, held, ctx.layout, ctx.half),  # type: ignore[attr-defined]
            _pointers(held),
            *map(_pointer, (keep, scales, x, grad, grad_x)),
            _pointers(sums),
            torch.get_num_threads(),
        )
        return grad_x, None, None, None, None, *sums


def _contiguous(
    parameters: Sequence[Tensor], *masks: Tensor | None
) -> tuple[list[Tensor], Tensor | None, Tensor | None]:
    keep, scales = (mask if mask is None else mask.contiguous() for mask in masks)
    return [parameter.contiguous() for parameter in parameters], keep, scales


def _library() -> ctypes.CDLL:
    native = library()
    assert native is not None, "ask `serves` first"
    return native


def _half() -> bool:
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


def _shape(
    x: Tensor, parameters: Sequence[Tensor], layout: Layout, half: bool
) -> ctypes.Array[ctypes.c_int]:
    hidden = parameters[9].shape[0]
    return (ctypes.c_int * 9)(*x.shape, layout.heads, hidden, layout.window, layout.shift, half)


def _pointers(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)
