"""Reads the noise of a whole picture into one descriptor; lives inside a denoiser.

Noise is a property of the picture, texture of a place: every flat patch of a noisy picture shows
the noise, in a clean one none does. So every cell of 8 x 8 pixels is described by the energies of a
learnt filter bank at two scales, and says a sigma and how far to trust it. Cells are pooled over
the whole picture by attention (Ilse et al., "Attention-based deep multiple instance learning", ICML
2018, section 2.4): for each brightness the calmest and most trusted cells of about that brightness
tell the sigma of each channel. Free heads of attention gather what else there is to know: how much
noise is left at coarser scales, impulses, a codec.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE, POOL = 2, 4  # of the filters, and of their energies
CELL = STRIDE * POOL  # pixels, a side
FLOOR = (0.2 / 255) ** 2  # energy below which rounding rules
CALMEST = 0.1  # of the filters: what they find bounds the noise from above
SOFT = 0.7 / 255  # sigmas are compared by log2((sigma + SOFT) * 255)
STRIP = 8  # rows of cells that are looked at together
SMALLEST = 40  # pixels a side; smaller pictures are mirrored until they are that large
NEAR = 0.2  # deviation of the brightnesses that count for a knot
FACTS = 3  # share of sigma left at 1/2 and 1/4 size (log2), share of impulses (log10)
WHITE = (-0.7, -1.4, -4.0)  # what the facts are counted from


@dataclass(frozen=True)
class JudgeConfig:
    """Shape of a Judge."""

    # filters, side: of the filter bank, and of one filter in pixels
    filters: int = 64
    side: int = 7
    coarse: int = 32  # filters of the bank that look at half the resolution too
    width: int = 96  # channels that describe a cell
    # heads, value: free ways of choosing cells, and numbers that each gathers
    heads: int = 6
    value: int = 24
    hidden: int = 64  # numbers of the descriptor besides the sigmas and the facts
    knots: int = 7  # brightnesses, evenly spread over 0..1, at which each channel has a sigma
    channels: int = 3  # colour channels of the picture

    @property
    def size(self) -> int:
        """Numbers of the descriptor."""
        return self.hidden + self.channels * self.knots + FACTS


@dataclass(frozen=True)
class Cells:
    """What is seen in the cells of a picture; n of them.

    brightness: (B, C, n), 0..1. level: (B, C, n), log2 of 255 (sigma + SOFT). trust: (B, 1, n),
    a logit. seen: (B, width, n).
    """

    brightness: Tensor
    level: Tensor
    trust: Tensor
    seen: Tensor

    @staticmethod
    def joined(windows: Sequence[Cells]) -> Cells:
        """The cells of all windows as those of one picture; B is 1."""
        names = ("brightness", "level", "trust", "seen")
        parts = ([getattr(window, name) for window in windows] for name in names)
        return Cells(
            *(torch.cat([x for planes in part for x in planes], 1)[None] for part in parts)
        )

    def chosen(self, which: Tensor) -> Cells:
        """Those for which (n,) bool holds."""
        parts = self.brightness, self.level, self.trust, self.seen
        return Cells(*(part[..., which] for part in parts))


class Judge(nn.Module):
    """Windows of one picture, or crops of several, to descriptors."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        scale = (c.channels * c.side**2) ** -0.5
        self.bank = nn.Parameter(torch.randn(c.filters, c.channels, c.side, c.side) * scale)
        self.sort = nn.Conv2d(2 * c.filters + 1 + c.channels, c.width, 1)
        self.coarse = nn.Conv2d(2 * c.coarse + c.channels, c.width, 1)
        self.around = nn.ModuleList(nn.Conv2d(c.width, c.width, 3, padding=n) for n in (0, 1))
        self.last = nn.Conv2d(c.width, c.width, 1)
        self.say = nn.Conv2d(c.width, 2, 1)
        self.colour = nn.Conv2d(c.width, c.channels, 1)
        self.choose = nn.Conv1d(c.width, c.heads, 1)
        self.value = nn.Conv1d(c.width, c.heads * c.value, 1)
        self.join = nn.Linear(c.heads * c.value + c.channels * c.knots, 128)
        self.out = nn.Linear(128, c.size)
        for layer in (self.say, self.coarse, self.colour, self.choose):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.out.weight[c.hidden :])
        nn.init.zeros_(self.out.bias)

    def cells(self, x: Tensor) -> Cells:
        """(B, C, H, W), nominally 0..1 -> what is seen in each cell."""
        energy, brightness, h = self._looked_at(x)
        said = self.say(F.relu(self.last(h))).float()
        whole = (..., slice(1, -1), slice(1, -1))  # cells that have neighbours on all sides
        calm = _calmest(energy)[whole] / 2 + math.log2(255)
        level = calm + 4 * said[:, :1] + self.colour(h).float()
        parts = (brightness[whole], level, 2 * said[:, 1:], h.float())
        return Cells(*(plane.flatten(2) for plane in parts))

    def known_cells(self, gaps: Tensor) -> Tensor:
        """For each of the `cells` of a picture, whether nothing that it sees is unknown: (n,) bool.

        gaps: (1, 1, H, W), above 0 where a pixel is unknown.
        """
        edge = self.config.side // 2
        share = F.avg_pool2d(gaps[..., edge:-edge, edge:-edge], CELL)
        rows, columns = (
            (side // 2 - self.config.side + STRIDE) // (CELL // 2) for side in gaps.shape[2:]
        )
        # `around` looks at the cells beside each.
        near = F.max_pool2d(share[..., :rows, :columns], 3, 1, 1)
        return near[..., 1:-1, 1:-1].flatten() == 0

    def places(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width, h, w): what is seen in each cell, where it lies."""
        return self._looked_at(x)[2]

    def _looked_at(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Energies and brightness of all cells, and what is seen in those with neighbours."""
        bank = self.bank - self.bank.mean((2, 3), keepdim=True)  # brightness is not noise
        bank = bank / bank.flatten(1).norm(dim=1)[:, None, None, None]
        x = x.contiguous() - 0.5  # about mid-gray half precision is finer
        energy, even = _energies(x, bank, POOL)
        far_energy, far_even = _energies(F.avg_pool2d(x, 2), bank[: self.config.coarse], POOL // 2)
        edge = self.config.side // 2
        inner = x[..., edge : x.shape[2] - edge, edge : x.shape[3] - edge].float()
        brightness = F.avg_pool2d(inner, CELL) + 0.5
        ends = F.avg_pool2d((inner.abs() >= 0.5).float(), CELL)
        parts = (energy, even, far_energy, far_even, brightness, ends)
        rows, columns = (min(part.shape[axis] for part in parts) for axis in (2, 3))
        energy, even, far_energy, far_even, brightness, ends = (
            part[..., :rows, :columns] for part in parts
        )
        mean = energy.mean(1, keepdim=True)
        fine = torch.cat([(energy - mean) / 2, 2 * even, mean / 3 + 4, 2 * brightness - 1], 1)
        coarse = torch.cat([(far_energy - mean) / 2, 2 * far_even, ends], 1)
        h = F.relu(self.sort(fine) + self.coarse(coarse))
        h = F.relu(self.around[0](h))
        return energy, brightness, h + F.relu(self.around[1](h))

    def pool(self, cells: Cells) -> Tensor:
        """(B, size): the descriptors of B pictures."""
        curve = self._curve(cells)
        weights = self.choose(cells.seen).softmax(-1)
        values = self.value(cells.seen).unflatten(1, (self.config.heads, -1))
        gathered = torch.einsum("bhn,bhvn->bhv", weights, values).flatten(1)
        numbers = self.out(F.relu(self.join(torch.cat([gathered, curve / 3 - 1], 1)))).float()
        hidden, facts = numbers[:, : self.config.hidden], numbers[:, -FACTS:]
        change = numbers[:, self.config.hidden : -FACTS]
        return torch.cat([hidden, (curve + change).clamp(-0.5, 9.0), facts], 1)

    def _curve(self, cells: Cells) -> Tensor:
        """(B, C * knots): the level at each knot, from trusted cells of about its brightness."""
        knots = torch.linspace(0, 1, self.config.knots, device=cells.level.device)[:, None]
        far = (cells.brightness[:, :, None] - knots) / NEAR  # (B, C, knots, n)
        weights = (cells.trust[:, :, None] - far.square() / 2).softmax(-1)
        return torch.einsum("bckn,bcn->bck", weights, cells.level).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Each of (B, C, H, W) by itself -> (B, size)."""
        return self.pool(self.cells(x))

    def facts(self, descriptor: Tensor) -> Tensor:
        """(B, 3): log2 of the share of sigma left at 1/2 and 1/4 size, log10 of the impulses'."""
        return descriptor[:, -FACTS:].float() + descriptor.new_tensor(WHITE)

    def sigmas(self, descriptor: Tensor) -> Tensor:
        """(B, size) -> (B, C, knots): sigma at each brightness, nominal range 0..1."""
        levels = descriptor[:, self.config.hidden : -FACTS].float()
        sigmas = F.softplus(20 * (2**levels / 255 - SOFT) * 255) / (20 * 255)  # above 0, smoothly
        return sigmas.unflatten(1, (self.config.channels, -1))

    def sigma_map(self, descriptor: Tensor, brightness: Tensor) -> Tensor:
        """Sigma of each place: the curve between its knots.

        brightness: (B, C, H, W), smoothed, 0..1.
        """
        sigmas = self.sigmas(descriptor)
        knots = sigmas.shape[2]
        place = brightness.float().clamp(0, 1) * (knots - 1)
        sigma = sigmas[:, :, 0, None, None].expand_as(place)
        rises = sigmas.diff(dim=2)[..., None, None]
        for knot in range(knots - 1):  # faster than to look each place's knots up
            sigma = torch.addcmul(sigma, (place - knot).clamp(0, 1), rises[:, :, knot])
        return sigma


def _energies(x: Tensor, bank: Tensor, pool: int) -> tuple[Tensor, Tensor]:
    """log2 of the energies in cells, and how evenly they are spread there: edges are not."""
    x, bank = (t.contiguous(memory_format=torch.channels_last) for t in (x, bank.to(x.dtype)))
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return _energies_of(x, bank, pool)
    # Strips whose answers stay in the cache: squares and means would wait for memory otherwise.
    side, cell = bank.shape[2], STRIDE * pool
    rows = (x.shape[2] - side + STRIDE) // cell
    parts = [
        _energies_of(x[..., cell * n : cell * (n + STRIP) + side - STRIDE, :], bank, pool)
        for n in range(0, rows, STRIP)
    ]
    energy, even = (torch.cat(part, 2) for part in zip(*parts, strict=True))
    return energy[..., :rows, :], even[..., :rows, :]


def _energies_of(x: Tensor, bank: Tensor, pool: int) -> tuple[Tensor, Tensor]:
    answers = F.conv2d(x, bank, stride=STRIDE).float()
    even = F.avg_pool2d(answers.abs(), pool).square()
    energy = F.avg_pool2d(
        answers.square_() if not answers.requires_grad else answers.square(), pool
    )
    energy, even = torch.log2(energy + FLOOR), torch.log2(even + FLOOR)
    return energy, even - energy


def _calmest(energy: Tensor) -> Tensor:
    """(B, filters, h, w) -> (B, 1, h, w): quantile CALMEST of the filters, without a full sort."""
    place = CALMEST * (energy.shape[1] - 1)
    calm = energy.topk(int(place) + 2, dim=1, largest=False).values[:, -2:]
    return torch.lerp(calm[:, :1], calm[:, 1:], place - int(place))
