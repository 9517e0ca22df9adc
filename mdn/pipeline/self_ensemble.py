"""Several passes over one picture: their mean, and how much they differ.

A masked net hides other tokens in each pass. A net without masks is shown the picture flipped and
rotated, eight ways in all (the "self-ensemble" of Lim et al., EDSR, CVPRW 2017, section 3.4).
Either way the mean is better than one pass, and where the passes differ the net guesses.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

AUGMENTATIONS = 8  # four quarter turns, each also mirrored


def self_ensemble(one_pass: Callable[[int], Tensor], passes: int, *, with_std: bool) -> Tensor:
    """The mean of the passes and, with `with_std`, as many channels more: their deviation.

    Args:
        one_pass: number of the pass, from 0 -> (B, C, H, W).

    Returns:
        (B, C, H, W), or (B, 2 C, H, W). The deviation is that of one pass (n - 1 in the
        denominator), not of the mean.
    """
    mean = one_pass(0)
    squares = torch.zeros_like(mean) if with_std else None
    # Welford's recurrence: one picture is held, and nothing cancels.
    for count in range(2, passes + 1):
        output = one_pass(count - 1)
        step = output - mean
        mean = mean + step / count
        if squares is not None:
            squares += step * (output - mean)
    if squares is None:
        return mean
    return torch.cat([mean, (squares / max(1, passes - 1)).sqrt()], 1)


def flip_rotate(x: Tensor, way: int) -> Tensor:
    """(B, C, H, W) turned by `way` quarters, from 4 on mirrored before; 0 is as it is."""
    if not way:
        return x
    mirrored = x.flip(3) if way >= AUGMENTATIONS // 2 else x
    return torch.rot90(mirrored, way % 4, (2, 3))


def flip_rotate_back(x: Tensor, way: int) -> Tensor:
    """The way back from `flip_rotate`."""
    if not way:
        return x
    upright = torch.rot90(x, -(way % 4), (2, 3))
    return upright.flip(3) if way >= AUGMENTATIONS // 2 else upright
