"""What fitting its layers changes in a net's answer, and which part of that is taken.

The loss of a fit looks at samples that are hidden. So nothing holds what the fitted net makes of a
sample that it sees, and it lets fine noise through, which shows as hatching. What it has learnt of
the picture beyond that is mostly smooth: a change of brightness from place to place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def smooth(change: Tensor, side: int) -> Tensor:
    """(B, C, H, W), the mean of side x side samples around each; mirrored at the border.

    side: of the net's grid. Each place of that grid has weights of its own, and a fit moves them
    apart; what repeats with the grid cancels in the mean over one of its cells.
    """
    room = (side // 2, (side - 1) // 2) * 2
    return F.avg_pool2d(F.pad(change, room, mode="reflect"), side, 1)


def taken(plain: Tensor, fitted: Tensor, side: int, *, fine: bool) -> Tensor:
    """The answer to use; both and it (B, C, H, W). fine: whether all of the change is taken."""
    return fitted if fine else plain + smooth(fitted - plain, side)


def roughness(answers: Sequence[Tensor], side: int) -> float:
    """Mean square of what is finer than the grid."""
    return sum(float((each - smooth(each, side)).square().mean()) for each in answers)
