"""Several looks at one picture: their mean, and how much they differ.

A masked net hides other tokens in each pass. A net without masks is shown the picture turned and
mirrored, eight ways in all (the "self-ensemble" of Lim et al., EDSR, CVPRW 2017, section 3.4).
Either way the mean is better than one look, and where the looks differ the net guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mdn.engine import Infer

WAYS = 8  # four quarter turns, each also mirrored


def ensemble(looks: Sequence[Infer], *, spread: bool) -> Infer:
    """The mean of the looks and, with `spread`, as many planes more: their standard deviation.

    The deviation is that of one look (n - 1 in the denominator), not of the mean.
    """

    def infer(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        mean = looks[0](batch, origins)
        squares = torch.zeros_like(mean) if spread else None
        # Welford's recurrence: one picture is held, and nothing cancels.
        for count, look in enumerate(looks[1:], start=2):
            output = look(batch, origins)
            step = output - mean
            mean = mean + step / count
            if squares is not None:
                squares += step * (output - mean)
        if squares is None:
            return mean
        return torch.cat([mean, (squares / max(1, len(looks) - 1)).sqrt()], 1)

    return infer


def turned(infer: Callable[[Tensor], Tensor], way: int) -> Callable[[Tensor], Tensor]:
    """`infer` on the picture (B, C, H, W) turned and mirrored, its answer put upright again."""

    def adapted(batch: Tensor) -> Tensor:
        mirrored = batch.flip(3) if way >= WAYS // 2 else batch
        output = torch.rot90(infer(torch.rot90(mirrored, way % 4, (2, 3))), -(way % 4), (2, 3))
        return output.flip(3) if way >= WAYS // 2 else output

    return adapted if way else infer


def in_channels(infer: Infer, wanted: int, *, apart: bool = False) -> Infer:
    """`infer` for any number of channels, from a net that takes `wanted` of them.

    Gray goes to a colour net as equal channels, and the mean of its answers comes back. Colour goes
    to a gray net channel by channel, and so do measurements (`apart`) to any net.
    """

    def adapted(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        count, channels = batch.shape[:2]
        if channels == wanted and not (apart and channels > 1):
            return infer(batch, origins)
        single = batch.reshape(count * channels, 1, *batch.shape[2:])
        each = [origin for origin in origins for _ in range(channels)]
        output = infer(single.expand(-1, wanted, -1, -1), each)
        return output.mean(1, keepdim=True).reshape(batch.shape)

    return adapted
