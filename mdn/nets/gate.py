"""Which net makes the best of a picture, or whether it is better left alone; lives beside a judge.

Nets that are good at one kind of noise each are experts, and what chooses between them is a gate
(Jacobs et al., "Adaptive mixtures of local experts", Neural Computation 1991). This one chooses for
the whole picture, from what the judge sees in its cells and from what the judge says of its noise.
Of the nets the likelier one is used; how likely the picture is best left alone is the share of it
that stays in the result.

A second gate looks again, once both nets have denoised parts of the picture: what a net takes out
of texture shows the texture, and what it takes out of noise does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn.nets.judge import Judge

MIDDLE = 0.5  # what is taken out is shown about mid-gray
HEADS, VALUE, HIDDEN, DROPOUT = 8, 24, 96, 0.1
CHOICES = ("leave", "coarse", "white")  # alone, or by the net for coarse or for white noise


class Gather(nn.Module):
    """Cells pooled over a picture by attention, as a judge does it: (B, width, n) -> (B, SIZE)."""

    SIZE = HEADS * VALUE

    def __init__(self, width: int) -> None:
        super().__init__()
        self.choose = nn.Conv1d(width, HEADS, 1)
        self.value = nn.Conv1d(width, HEADS * VALUE, 1)

    def gather(self, seen: Tensor) -> Tensor:
        weights = self.choose(seen).softmax(-1)
        values = F.relu(self.value(seen)).unflatten(1, (HEADS, VALUE))
        return torch.einsum("bhn,bhvn->bhv", weights, values).flatten(1)


class Gate(Gather):
    """The cells of pictures, as a judge sees them, to a logit for each of CHOICES.

    Args:
        width: numbers that describe a cell.
        size: numbers of the judge's descriptor.
        gathered: numbers that are gathered from the cells.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, size: int, gathered: int = Gather.SIZE) -> None:
        super().__init__(width)
        self.join = nn.Linear(gathered + size, HIDDEN)
        self.mix = nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, len(CHOICES))
        self.register_buffer("mean", torch.zeros(size))  # of descriptors, and their deviation
        self.register_buffer("deviation", torch.ones(size))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, seen: Tensor, descriptor: Tensor) -> Tensor:
        """seen: (B, width, n), see judge.Cells; descriptor: (B, size). Returns (B, 3)."""
        return self.weigh(self.gather(seen), descriptor)

    def weigh(self, gathered: Tensor, descriptor: Tensor) -> Tensor:
        normal = (descriptor - self.mean) / self.deviation
        h = F.relu(self.join(torch.cat([gathered, normal], 1)))
        return self.last(F.relu(self.mix(F.dropout(h, DROPOUT, self.training))))


class SecondGate(Gate):
    """As Gate, once both nets have been tried: it also sees what each takes out."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__(width, size, 2 * Gather.SIZE)
        self.out = Gather(3 * width)

    def forward(self, seen: Tensor, descriptor: Tensor, taken_out: Tensor) -> Tensor:  # type: ignore[override]
        """As Gate's; taken_out: (B, 3 width, m), of the function of that name."""
        return self.weigh(torch.cat([self.gather(seen), self.out.gather(taken_out)], 1), descriptor)


def taken_out(judge: Judge, noisy: Tensor, denoised: Sequence[Tensor]) -> Tensor:
    """What the judge sees in crops, and in what each of two nets takes out of them.

    noisy, denoised: (B, C, H, W), nominal range 0..1. Returns (B, 3 width, m).
    """
    views = [noisy, *(MIDDLE + noisy - each for each in denoised)]
    return torch.cat([judge.cells(view.contiguous()).seen for view in views], 1)
