"""Reads the noise of a whole picture into one descriptor; lives inside a denoiser.

Noise is a property of the picture, texture of a place: every flat patch of a noisy picture shows
the noise, in a clean one none does. So every cell of 8 x 8 pixels is described by the energies of a
learnt filter bank at two scales, cells are pooled over the whole picture by attention (Ilse et al.,
"Attention-based deep multiple instance learning", ICML 2018, section 2.4), and the pooled vector
says what the noise is: its sigma against brightness for each channel, how much of it is left at
coarser scales, and the share of impulses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE, CELL = 2, 8  # pixels between filters, and a side of a cell
FLOOR = (0.25 / 255) ** 2  # energy that rounding to 8 bits leaves
SOFT = 0.5 / 255  # sigmas are compared by log2(sigma + SOFT)
SMALLEST = 32  # pixels a side; smaller pictures are mirrored until they are that large


@dataclass(frozen=True)
class JudgeConfig:
    """Shape of a Judge.

    Attributes:
        filters, side: of the filter bank, and of one filter in pixels.
        width: channels that describe a cell.
        heads: ways of choosing cells.
        size: numbers of the descriptor.
        knots: brightnesses, evenly spread over 0..1, at which a sigma is told for each channel.
        channels: colour channels of the picture.
    """

    filters: int = 48
    side: int = 7
    width: int = 96
    heads: int = 8
    size: int = 96
    knots: int = 7
    channels: int = 3


class Judge(nn.Module):
    """Windows of one picture, or crops of several, to descriptors."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        scale = (c.channels * c.side**2) ** -0.5
        self.bank = nn.Parameter(torch.randn(c.filters, c.channels, c.side, c.side) * scale)
        self.describe = nn.Conv2d(4 * c.filters + 2 * c.channels, c.width, 1)
        self.around = nn.Conv2d(c.width, c.width, 3)
        self.choose = nn.Conv2d(c.width, c.heads, 1)
        self.value = nn.Conv2d(c.width, c.heads * 24, 1)
        self.join = nn.Linear(c.heads * 24, 2 * c.size)
        self.out = nn.Linear(2 * c.size, c.size)
        self.curve = nn.Linear(c.size, c.channels * c.knots)
        self.facts = nn.Linear(c.size, 3)
        nn.init.zeros_(self.curve.weight)
        nn.init.constant_(self.curve.bias, -4.5)  # log2 of sigma: about 11 of 255
        nn.init.zeros_(self.choose.weight)

    def cells(self, x: Tensor) -> Tensor:
        """(N, C, H, W), nominally 0..1 -> (N, width, h, w): what is seen in each cell."""
        bank = self.bank - self.bank.mean((2, 3), keepdim=True)  # brightness is not noise
        bank = bank / bank.flatten(1).norm(dim=1)[:, None, None, None]
        pad = self.config.side // 2
        x = F.pad(x, (pad,) * 4, mode="reflect")
        inner = x[..., pad : x.shape[2] - pad, pad : x.shape[3] - pad]
        parts = [*self._energies(x - 0.5, bank, CELL // STRIDE)]
        half = F.pad(F.avg_pool2d(inner, 2), (pad,) * 4, mode="reflect")
        parts += self._energies(half - 0.5, bank, CELL // STRIDE // 2)
        brightness = F.avg_pool2d(inner.float(), CELL)
        ends = F.avg_pool2d(((inner <= 0) | (inner >= 1)).float(), CELL)
        parts += [2 * brightness - 1, ends]
        rows, columns = (min(part.shape[axis] for part in parts) for axis in (2, 3))
        parts = [part[..., :rows, :columns] for part in parts]
        return F.relu(self.around(F.relu(self.describe(torch.cat(parts, 1)))))

    def _energies(self, x: Tensor, bank: Tensor, pool: int) -> tuple[Tensor, Tensor]:
        """Log energies in cells, and how evenly they are spread there: edges are not."""
        found = F.conv2d(x, bank.to(x.dtype), stride=STRIDE).float()
        energy = torch.log2(F.avg_pool2d(found.square(), pool) + FLOOR)
        even = torch.log2(F.avg_pool2d(found.abs(), pool).square() + FLOOR) - energy
        return energy / 3 + 3, 2 * even

    def pool(self, cells: Tensor) -> Tensor:
        """(B, width, n) cells of B pictures -> (B, size) descriptors."""
        cells = cells.unsqueeze(-1)
        weights = self.choose(cells).squeeze(-1).softmax(-1)
        values = self.value(cells).squeeze(-1)
        values = values.unflatten(1, (self.config.heads, -1))
        pooled = torch.einsum("bhn,bhvn->bhv", weights, values).flatten(1)
        return self.out(F.relu(self.join(pooled))).float()

    def forward(self, x: Tensor) -> Tensor:
        """Each of (B, C, H, W) by itself -> (B, size)."""
        return self.pool(self.cells(x).flatten(2))

    def picture(self, windows: Tensor) -> Tensor:
        """(N, C, h, w) windows of one picture -> (1, size)."""
        return self.pool(self.cells(windows).transpose(0, 1).flatten(1)[None])

    def sigmas(self, descriptor: Tensor) -> Tensor:
        """(B, size) -> (B, C, knots): sigma at each brightness, nominal range 0..1."""
        logs = self.curve(descriptor.float()).unflatten(1, (self.config.channels, -1))
        return (2 ** logs.clamp(-14, 1)).float()

    def sigma_map(self, descriptor: Tensor, brightness: Tensor) -> Tensor:
        """Sigma of each place: the curve between its knots.

        brightness: (B, C, H, W), smoothed, 0..1.
        """
        sigmas = self.sigmas(descriptor)
        knots = sigmas.shape[2]
        place = brightness.float().clamp(0, 1) * (knots - 1)
        lower = place.floor().clamp(max=knots - 2)
        share = place - lower
        index = lower.flatten(2).long()
        below = sigmas.gather(2, index).view_as(place)
        above = sigmas.gather(2, index + 1).view_as(place)
        return torch.lerp(below, above, share)
