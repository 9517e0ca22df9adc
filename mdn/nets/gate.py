"""Which net makes the best of a picture, and how much of it is taken; lives beside a judge.

Nets that are good at one kind of noise each are experts, and what chooses between them is a gate
(Jacobs et al., "Adaptive mixtures of local experts", Neural Computation 1991). This one chooses for
the whole picture, from what the judge sees in its cells and from what the judge says of its noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS, VALUE, HIDDEN, DROPOUT = 8, 24, 96, 0.1


@dataclass(frozen=True)
class Choice:
    """What becomes of a picture.

    Attributes:
        coarse, white: shares of the results of the nets for coarse and for white noise; the rest
            is the picture as it came.
    """

    name: str
    coarse: float = 0.0
    white: float = 0.0

    @property
    def strength(self) -> float:
        """How much of it is denoised, 0 to 1."""
        return self.coarse + self.white


# Where faint noise and fine texture cannot be told apart, half of either mistake is less than half
# as bad: the mean of two pictures whose errors differ is better than both.
CHOICES = (
    Choice("leave"),
    Choice("half coarse", coarse=0.5),
    Choice("coarse", coarse=1.0),
    Choice("half white", white=0.5),
    Choice("white", white=1.0),
)


class Gate(nn.Module):
    """The cells of pictures, as a judge sees them, to a logit for each of CHOICES.

    Args:
        width: numbers that describe a cell.
        size: numbers of the judge's descriptor.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.choose = nn.Conv1d(width, HEADS, 1)
        self.value = nn.Conv1d(width, HEADS * VALUE, 1)
        self.join = nn.Linear(HEADS * VALUE + size, HIDDEN)
        self.mix = nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, len(CHOICES))
        self.register_buffer("mean", torch.zeros(size))  # of descriptors, and their deviation
        self.register_buffer("deviation", torch.ones(size))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, seen: Tensor, descriptor: Tensor) -> Tensor:
        """seen: (B, width, n), see judge.Cells; descriptor: (B, size) -> (B, len(CHOICES))."""
        weights = self.choose(seen).softmax(-1)
        values = F.relu(self.value(seen)).unflatten(1, (HEADS, VALUE))
        gathered = torch.einsum("bhn,bhvn->bhv", weights, values).flatten(1)
        normal = (descriptor - self.mean) / self.deviation
        h = F.relu(self.join(torch.cat([gathered, normal], 1)))
        return self.last(F.relu(self.mix(F.dropout(h, DROPOUT, self.training))))
