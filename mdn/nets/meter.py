"""A net that says how strong a picture's noise is, and is not taken in by texture.

The high frequencies of the flattest places tell the noise of most pictures (`noise.estimate`). They
do not where a picture is texture all over, nor where a codec left nothing of the noise in flat
places. A net that has seen photographs does better there: a learnt filter bank sorts each cell of 8
x 8 pixels by what is in it at all frequencies, and by how far that is spread or in few places, as
edges are; from this and the cells around it the net reads a level, and says how far to trust that.
The picture's level is the mean of the cells' weighted by that trust (attention pooling: Ilse et
al., "Attention-based deep multiple instance learning", ICML 2018, section 2.4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE, POOL = 2, 4  # of the filters, and of their energies: cells of 8 x 8 pixels
FLOOR = (0.2 / 255) ** 2  # energy below which rounding rules
CALMEST = 0.1  # of the filters: what they find bounds the noise from above
SOFT = 0.7  # levels are compared as log2(level + SOFT), level on the 0-255 scale


@dataclass(frozen=True)
class MeterConfig:
    """Shape of a Meter.

    Attributes:
        filters: of the bank. side: of a filter, in pixels; odd.
        width: channels of what looks at their energies.
        channels: colour channels of the picture.
    """

    filters: int = 64
    side: int = 7
    width: int = 96
    channels: int = 3

    def __post_init__(self) -> None:
        if min(self.filters, self.width, self.channels) < 1 or self.side < 1 or not self.side % 2:
            raise ValueError("filters, width and channels must be at least 1, and side odd")


class Meter(nn.Module):
    """(B, C, H, W), nominally 0..1 -> (B,): log2(level + SOFT), level on the 0-255 scale.

    Attributes:
        seeded: False: it draws nothing.
        multiple: 1: any height and width from `smallest` on.
    """

    seeded = False
    multiple = 1

    def __init__(self, config: MeterConfig) -> None:
        super().__init__()
        self.config = config
        filters, width = config.filters, config.width
        scale = (config.channels * config.side**2) ** -0.5
        bank = torch.randn(filters, config.channels, config.side, config.side) * scale
        self.bank = nn.Parameter(bank)
        self.sort = nn.Conv2d(2 * filters + 1 + config.channels, width, 1)
        self.around = nn.ModuleList(nn.Conv2d(width, width, 3, padding=n) for n in (0, 1))
        self.last = nn.Conv2d(width, width, 1)
        self.say = nn.Conv2d(width, 2, 1)
        nn.init.zeros_(self.say.weight)

    @property
    def smallest(self) -> int:
        """Least height and width, pixels: three cells and a filter's reach."""
        return 3 * STRIDE * POOL + self.config.side

    @property
    def receptive_field(self) -> int:
        """The level is that of the whole picture: no tile of it says the same."""
        return 0

    @property
    def bytes_per_pixel(self) -> float:
        """Peak memory of a float32 call by pixel of its input: responses and their squares."""
        return 4 * (3 * self.config.filters / STRIDE**2 + self.config.channels)

    def cells(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, h, w) each: log2 of the level that a cell shows, and the logit of its trust."""
        bank = self.bank - self.bank.mean((2, 3), keepdim=True)  # brightness is not noise
        bank = bank / bank.flatten(1).norm(dim=1)[:, None, None, None]
        found = F.conv2d(x - 0.5, bank.to(x.dtype), stride=STRIDE).float()
        energy = torch.log2(F.avg_pool2d(found.square(), POOL) + FLOOR)
        evenly = torch.log2(F.avg_pool2d(found.abs(), POOL).square() + FLOOR) - energy
        edge = self.config.side // 2
        inner = x[..., edge : x.shape[2] - edge, edge : x.shape[3] - edge].float()
        colour = F.avg_pool2d(inner, STRIDE * POOL)
        whole = (..., slice(colour.shape[2]), slice(colour.shape[3]))  # a filter may reach further
        energy, evenly = energy[whole], evenly[whole]
        mean = energy.mean(1, keepdim=True)
        seen = torch.cat([(energy - mean) / 2, 2 * evenly, mean / 3 + 4, 2 * colour - 1], 1)
        h = F.relu(self.sort(seen))
        h = F.relu(self.around[0](h))
        h = h + F.relu(self.around[1](h))
        said = self.say(F.relu(self.last(h)))
        calm = energy.quantile(CALMEST, dim=1, keepdim=True)[..., 1:-1, 1:-1] / 2 + math.log2(255)
        return calm + 4 * said[:, :1], 2 * said[:, 1:]

    def forward(self, x: Tensor) -> Tensor:
        """The level of each picture of the batch."""
        levels, trust = self.cells(x)
        return pooled(levels.flatten(1), trust.flatten(1))


def pooled(levels: Tensor, trust: Tensor) -> Tensor:
    """What cells (..., n) say together: (...)."""
    return (levels * trust.softmax(-1)).sum(-1)


def level(said: Tensor) -> Tensor:
    """What a Meter says -> the level on the 0-255 scale."""
    return (2**said - SOFT).clamp(min=0)


def said(level: Tensor) -> Tensor:
    """A level on the 0-255 scale -> what a Meter should say."""
    return torch.log2(level + SOFT)
