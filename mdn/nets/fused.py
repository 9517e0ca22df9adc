"""A 3x3 convolution and what follows it in one call, where PyTorch's library for CPUs has one.

A relu, or a sum with a skip, does next to nothing and waits for memory while it does: by itself it
takes half as long as the convolution before it. The calls are those that torch.compile puts in
their place (PyTorch, torch/_inductor/fx_passes/mkldnn_fusion.py). They are no public interface, so
that they are tried once, and done without where they are missing or answer otherwise. They know no
gradients.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

ONES = [1, 1]  # padding, stride and dilation
TOLERANCE = 0.05  # of half precision, over sums of some ten terms near 1


def usable(x: Tensor) -> bool:
    """Whether the calls below work on such a tensor here and now."""
    return x.device.type == "cpu" and not torch.is_grad_enabled() and _works(x.dtype)


def conv_relu(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """relu(conv(x)): (B, C, H, W), weight (D, C, 3, 3), bias (D,) -> (B, D, H, W); zeros around."""
    call = torch.ops.mkldnn._convolution_pointwise
    kernel = weight.to(x.dtype)
    return call.default(x, kernel, bias, ONES, ONES, ONES, 1, "relu", [], None)


def conv_add(x: Tensor, weight: Tensor, skip: Tensor) -> Tensor:
    """conv(x) + skip, as `conv_relu`; skip has the result's shape."""
    call = torch.ops.mkldnn._convolution_pointwise
    kernel = weight.to(x.dtype)
    return call.binary(x, skip, kernel, None, ONES, ONES, ONES, 1, "add", None, None, [], None)


@functools.cache
def _works(dtype: torch.dtype) -> bool:
    values = torch.linspace(-1, 1, 8 * 25).reshape(1, 8, 5, 5).to(dtype)
    x = values.contiguous(memory_format=torch.channels_last)
    weight = torch.linspace(-0.5, 0.5, 8 * 8 * 9).reshape(8, 8, 3, 3)
    try:
        found = conv_relu(x, weight), conv_add(x, weight, x)
    except (AttributeError, RuntimeError, TypeError):
        return False
    plain = F.conv2d(x.float(), weight, padding=1)
    expected = plain.relu().float(), (plain + x).float()  # under autocast they come in halves
    return all(
        torch.allclose(a.float(), b, atol=TOLERANCE) for a, b in zip(found, expected, strict=True)
    )
