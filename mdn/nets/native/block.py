"""A block of SwinIR through the compiled code: `run`, and when it `serves`.

Arithmetic is float32 whatever autocast asks for: nothing is cast, and nothing but the tokens leaves
the cache.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mdn.nets.native import library

# What the code was compiled for: tokens of a window, channels of a head.
_MAX_AREA, _SIZES = 64, (4, 8, 10, 16, 30, 32)


@dataclass(frozen=True)
class Layout:
    """How a block divides its tokens.

    Attributes:
        heads: attention heads.
        window: side of a window.
        shift: with a shift, the windows at either end are clipped to it.
    """

    heads: int
    window: int
    shift: int


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
    layout: Layout,
    parameters: Sequence[Tensor],
    out: Tensor | None = None,
) -> Tensor:
    """Both branches of a block: x plus attention, plus MLP.

    Args:
        x: (B, H, W, dim), float32, contiguous, H and W multiples of the window's side.
        keep: attention mask, bool (B, H, W), True where a token is kept.
        layout: of the windows.
        parameters: LayerNorm (weight, bias), qkv (weight, bias), relative bias (heads, window,
            window, window, window), projection, LayerNorm and both layers of the MLP (weight, bias
            each); float32.
        out: where to write, which may be x itself; by default a new tensor.

    Returns:
        (B, H, W, dim).
    """
    out = torch.empty_like(x) if out is None else out
    held = [parameter.contiguous() for parameter in parameters]
    keep = None if keep is None else keep.contiguous()
    native = library()
    assert native is not None
    native.mdn_block(
        _shape(x, held, layout), _pointers(held), *map(_pointer, (keep, None, x, out)), _threads()
    )
    return out


def _shape(x: Tensor, parameters: Sequence[Tensor], layout: Layout) -> ctypes.Array[ctypes.c_int]:
    hidden = parameters[9].shape[0]
    return (ctypes.c_int * 8)(*x.shape, layout.heads, hidden, layout.window, layout.shift)


def _threads() -> ctypes.c_int:
    return ctypes.c_int(torch.get_num_threads())


def _pointers(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)
