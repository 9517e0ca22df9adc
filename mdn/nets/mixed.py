"""Convolutions of the U-Net: plain, or with kernels that follow the descriptor of the noise.

Each of the latter has several kernels. The descriptor says how they are mixed (CondConv, Yang et
al., NeurIPS 2019, section 3), scales each of their output channels (FiLM, Perez et al., AAAI 2018,
section 3), and shifts some layers' answers. All of that is folded into one kernel and one bias for
the whole picture, so that a pixel costs what it costs a plain convolution.

A shift alone would make f(a x) != a f(x). So it is a multiple of the noise's own standard
deviation, which scales with the picture: f(a x, a sigma) = a f(x, sigma) holds, and where there is
no noise there is no shift.
"""

import functools
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = 64  # numbers that the descriptor is read into

Kernel = tuple[Tensor, Tensor | None]
"""Weights of a convolution, and its bias, or None."""


@dataclass
class Condition:
    """What the convolutions of one call follow; B is 1 where all crops are of one picture.

    hidden: (B, HIDDEN). descriptor: (B, size). shares: (B, K) of the kernels, which add up to 1.
    sigma: (B, 1), the picture's noise, nominal range 0..1. kernels: those of layers, where one
    picture is denoised in many calls; None where they are not to be remembered.
    """

    hidden: Tensor
    descriptor: Tensor
    shares: Tensor
    sigma: Tensor
    kernels: dict[tuple[int, torch.dtype], Kernel] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.shares)


class Conditions(nn.Module):
    """Descriptors (B, size) to what the convolutions of a net follow."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int, kernels: int) -> None:
        super().__init__()
        self.read = nn.Linear(size, HIDDEN)
        self.told = nn.Linear(
            1, HIDDEN, bias=False
        )  # of log2 of the map's gain, where one is given
        self.share = nn.Linear(HIDDEN, kernels)
        self.register_buffer("mean", torch.zeros(size))  # of descriptors, and their deviation
        self.register_buffer("deviation", torch.ones(size))
        nn.init.zeros_(self.share.weight)
        nn.init.zeros_(self.share.bias)
        nn.init.zeros_(self.told.weight)

    def forward(self, descriptor: Tensor, sigma: Tensor, gain: Tensor) -> Condition:
        """sigma: (B, 1) or (1, 1), of the pictures, nominal range 0..1; gain: likewise, of the map.

        What a user says of the noise differs from what the descriptor says by the gain.
        """
        rows = max(len(descriptor), len(sigma))
        descriptor = descriptor.float().expand(rows, -1)
        hidden = self.read((descriptor - self.mean) / self.deviation).float()
        told = self.told(torch.log2(gain.float().clamp(1 / 256, 256.0))).float()
        hidden = F.relu(hidden + told)
        shares = self.share(hidden).float().softmax(1)
        return Condition(hidden, descriptor, shares, sigma.float().expand(rows, -1))


class MixedConv(nn.Module):
    """A convolution without a bias of its own: (B, I, h, w) -> (B, O, ...).

    Args:
        wide, deep: channels in and out.
        side: of the kernel, pixels; with `stride` of the same length it halves the resolution, or
            doubles it where `up` is true, otherwise it keeps it.
        count: kernels to mix.
        raw: numbers of the descriptor, where the scales follow that itself; 0: what was read of it.
        shifted: whether the descriptor shifts the answer.
    """

    def __init__(
        self,
        wide: int,
        deep: int,
        side: int,
        count: int,
        *,
        stride: int = 1,
        up: bool = False,
        raw: int = 0,
        shifted: bool = False,
    ) -> None:
        super().__init__()
        self.stride, self.up, self.deep, self.raw = stride, up, deep, raw
        self.padding = side // 2 if stride == 1 else 0
        shape = (wide, deep) if up else (deep, wide)
        self.kernels = nn.ParameterList(
            nn.Parameter(torch.randn(*shape, side, side) * (2 / (wide * side**2)) ** 0.5)
            for _ in range(count)
        )
        self.gain = nn.Linear(raw or HIDDEN, count * deep)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)
        self.shift = nn.Linear(HIDDEN, deep, bias=False) if shifted else None
        if self.shift is not None:
            nn.init.zeros_(self.shift.weight)

    def forward(
        self,
        x: Tensor,
        condition: Condition,
        missing: slice | None = None,
        relu: bool = False,
        skip: Tensor | None = None,
    ) -> Tensor:
        """The answer to x.

        missing: the channels that x leaves out, since they are zero. skip: added to the answer.
        """
        kernels = self._kernels(condition, x.dtype)
        if len(kernels) == 1:
            return self._convolved(x, kernels[0], missing=missing, relu=relu, skip=skip)
        parts = [
            self._convolved(one, kernel, missing=missing, relu=relu)
            for one, kernel in zip(x.split(1), kernels, strict=True)
        ]
        y = torch.cat(parts)
        return y if skip is None else y + skip

    def _kernels(self, condition: Condition, dtype: torch.dtype) -> list[Kernel]:
        """One for each row of the condition."""
        store = condition.kernels
        if store is None:
            return self._mixed(condition, dtype)
        key = id(self), dtype
        if key not in store:
            store[key] = self._mixed(condition, dtype)[0]
        return [store[key]]

    def _mixed(self, condition: Condition, dtype: torch.dtype) -> list[Kernel]:
        device = condition.shares.device.type
        with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
            gains = self.gain(condition.descriptor if self.raw else condition.hidden)
            gains = 1 + gains.unflatten(1, (len(self.kernels), self.deep))
            scales = (condition.shares[:, :, None] * gains).permute(2, 0, 1)  # (O, B, K)
            kernels = torch.stack([self._rows(kernel) for kernel in self.kernels], 1)
            mixed = torch.bmm(scales, kernels).transpose(0, 1).to(dtype).contiguous()
            biases: list[Tensor | None] = [None] * len(condition)
            if self.shift is not None:
                biases = list((self.shift(condition.hidden) * condition.sigma).to(dtype).unbind())
        weights = (self._from_rows(rows) for rows in mixed.unbind())
        return list(zip(weights, biases, strict=True))

    def _rows(self, kernel: Tensor) -> Tensor:
        """(O, n): a row for each channel of the answer, in the order of channels-last memory."""
        kernel = kernel.transpose(0, 1) if self.up else kernel
        return kernel.permute(0, 2, 3, 1).flatten(1)

    def _from_rows(self, rows: Tensor) -> Tensor:
        side = self.kernels[0].shape[2]
        kernel = rows.unflatten(1, (side, side, -1)).permute(0, 3, 1, 2)
        return kernel.transpose(0, 1) if self.up else kernel

    def _convolved(self, x: Tensor, kernel: Kernel, **how: Any) -> Tensor:
        """Arguments as of `convolved`."""
        weight, bias = kernel
        if self.up:
            return F.conv_transpose2d(x, weight, stride=self.stride)
        return convolved(x, weight, bias, stride=self.stride, padding=self.padding, **how)


class PlainConv(nn.Conv2d):
    """A convolution without bias that follows nothing; arguments as those of MixedConv."""

    def __init__(self, wide: int, deep: int, side: int, stride: int = 1) -> None:
        super().__init__(wide, deep, side, stride, side // 2 if stride == 1 else 0, bias=False)

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        condition: Condition | None = None,
        missing: slice | None = None,
        relu: bool = False,
        skip: Tensor | None = None,
    ) -> Tensor:
        stride, padding = self.stride[0], int(self.padding[0])
        return convolved(
            x,
            self.weight,
            stride=stride,
            padding=padding,
            missing=missing,
            relu=relu,
            skip=skip,
        )


def conv(
    wide: int,
    deep: int,
    side: int,
    kernels: int,
    *,
    stride: int = 1,
    raw: int = 0,
    shifted: bool = False,
) -> MixedConv | PlainConv:
    """One that mixes so many kernels; 0: a plain one."""
    if kernels:
        return MixedConv(wide, deep, side, kernels, stride=stride, raw=raw, shifted=shifted)
    return PlainConv(wide, deep, side, stride)


def convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 1,
    missing: slice | None = None,
    relu: bool = False,
    skip: Tensor | None = None,
) -> Tensor:
    """A convolution, and a relu or a sum with `skip` after it; `missing` as for MixedConv."""
    if missing is not None:
        weight = torch.cat([weight[:, : missing.start], weight[:, missing.stop :]], 1)
    if padding == 1 and usable(x):
        if relu:
            return conv_relu(x, weight, bias)
        if skip is not None and bias is None:
            return conv_add(x, weight, skip)
    y = F.conv2d(x, weight, bias, stride=stride, padding=padding)
    if skip is not None:
        y = y.add_(skip)
    return F.relu(y, inplace=True) if relu else y


# --- a 3x3 convolution and what follows it in one call, where PyTorch's library for CPUs has it --
#
# A relu, or a sum with a skip, does next to nothing and waits for memory while it does: by itself
# it takes half as long as the convolution before it. The calls are those that torch.compile puts in
# their place (PyTorch, torch/_inductor/fx_passes/mkldnn_fusion.py). They are no public interface,
# so that they are tried once, and done without where they are missing or answer otherwise. They
# know no gradients.

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
        answers = conv_relu(x, weight), conv_add(x, weight, x)
    except (AttributeError, RuntimeError, TypeError):
        return False
    plain = F.conv2d(x.float(), weight, padding=1)
    expected = plain.relu().float(), (plain + x).float()  # under autocast they come in halves
    return all(
        torch.allclose(a.float(), b, atol=TOLERANCE) for a, b in zip(answers, expected, strict=True)
    )
