"""Which net makes the best of a picture, or whether it is better left alone; lives beside a judge.

Nets that are good at one kind of noise each are experts, and what chooses between them is a gate
(Jacobs et al., "Adaptive mixtures of local experts", Neural Computation 1991). This one chooses for
the whole picture, from what the judge sees in its cells and from what the judge says of its noise.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS, VALUE, HIDDEN, DROPOUT = 8, 24, 96, 0.1
CHOICES = ("leave", "coarse", "white")  # alone, or by the net for coarse or for white noise


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
        """seen: (B, width, n), see judge.Cells; descriptor: (B, size). Returns (B, 3)."""
        weights = self.choose(seen).softmax(-1)
        values = F.relu(self.value(seen)).unflatten(1, (HEADS, VALUE))
        gathered = torch.einsum("bhn,bhvn->bhv", weights, values).flatten(1)
        normal = (descriptor - self.mean) / self.deviation
        h = F.relu(self.join(torch.cat([gathered, normal], 1)))
        return self.last(F.relu(self.mix(F.dropout(h, DROPOUT, self.training))))
