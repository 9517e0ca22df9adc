"""Reads the noise of counted light off windows of a stack: a few numbers, and how sure they are.

Every flat place shows the noise, and texture lacks what is finest. So each cell of 8 x 8 pixels is
described by the energies of a learnt filter bank at two scales, says a variance and how far to
trust it, as in the judge of photographs (nets.judge). Cells of all windows are pooled: for each
brightness the trusted cells of about that brightness tell the variance there, and free heads of
attention gather what else there is to know (Ilse et al., "Attention-based deep multiple instance
learning", ICML 2018, section 2.4; the order of windows does not matter, as in Deep Sets, Zaheer et
al., NeurIPS 2017). The spread of each number is read as well, by the likelihood of a Gaussian
(Nix, Weigend, ICNN 1994).

The windows are taken in a unit of their own: the noise of the middle cell is 1, the middle
brightness 0. So neither gain nor pedestal nor depth matters to the net.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 64  # pixels, of a window
STRIDE, POOL = 2, 4  # of the filters, and of their energies
LEAST = 1e-6  # of the span of the samples: finer detail is rounding
FLOOR = 1e-4  # energy, in squares of the unit, that is added before the logarithm
ENDS = 0.02, 0.98  # quantiles of the cells' means: the dark and the bright end
NEAR = 0.15  # deviation of the brightnesses that count for a knot, of the range
# log2 of the variance at the dark and at the bright end; logit of the share of photon noise at the
# dark end; log2 of 1 + the deviation, in pixels, of the blur of the noise
NUMBERS = ("dark", "bright", "photons", "blur")


@dataclass(frozen=True)
class CountsReaderConfig:
    """Shape of a CountsReader."""

    filters: int = 24  # of the filter bank
    side: int = 5  # of one filter, pixels
    coarse: int = 12  # filters of the bank that look at half the resolution too
    width: int = 48  # channels that describe a cell
    heads: int = 4  # free ways of choosing cells
    kind_heads: int = 6  # the same, to tell counted light from others
    value: int = 16  # numbers that each gathers
    knots: int = 6  # brightnesses, evenly spread from the dark to the bright end


@dataclass(frozen=True)
class Scale:
    """The unit of windows, a row for each picture: (B,) each, in the unit of the samples."""

    middle: Tensor  # the median cell's mean
    unit: Tensor  # root of the power of the finest detail in the median cell, above 0
    low: Tensor  # the dark end
    high: Tensor  # the bright end
    even: Tensor  # bool: whether nothing is seen from pixel to pixel but rounding errors


def scale_of(windows: Tensor) -> Scale:
    """The unit of windows (B, N, SIDE, SIDE), float32."""
    fine = windows[..., 1:, 1:] + windows[..., :-1, :-1]
    fine = (fine - windows[..., 1:, :-1] - windows[..., :-1, 1:]) / 2
    power = F.avg_pool2d(fine.square(), 8).flatten(1)
    mean = F.avg_pool2d(windows, 8).flatten(1)
    ends = mean.quantile(mean.new_tensor(ENDS), dim=1)
    span = (windows.amax((1, 2, 3)) - windows.amin((1, 2, 3))).clamp(min=1e-30)
    # The lower median of those above 0, by sorting: a graph in ONNX knows no other way.
    middle = ((power > 0).sum(1, keepdim=True) - 1).clamp(min=0) // 2
    some = power.where(power > 0, torch.inf).sort(1).values.gather(1, middle)[:, 0]
    some = some.where(some < torch.inf, 0.0)
    # Of equal samples nothing but rounding errors would be seen.
    least = LEAST * torch.maximum(span, windows.abs().amax((1, 2, 3)).clamp(min=1e-20))
    unit = torch.maximum(some.sqrt(), least)
    median = mean.sort(1).values[:, (mean.shape[1] - 1) // 2]
    return Scale(median, unit, ends[0], ends[1], some.sqrt() <= least)


class CountsReader(nn.Module):
    """Windows of B pictures to numbers and how sure these are."""

    def __init__(self, config: CountsReaderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.bank = nn.Parameter(torch.randn(c.filters, 1, c.side, c.side) / c.side)
        self.sort = nn.Conv2d(2 * (c.filters + c.coarse) + 3, c.width, 1)
        self.around = nn.ModuleList(nn.Conv2d(c.width, c.width, 3, padding=1) for _ in range(2))
        self.say = nn.Conv1d(c.width, 2, 1)
        self.choose = nn.Conv1d(c.width, c.heads, 1)
        self.value = nn.Conv1d(c.width, c.heads * c.value, 1)
        facts = 2 * c.knots + 4
        self.join = nn.Linear(c.heads * c.value + facts, 96)
        self.more = nn.Linear(96, 96)
        self.out = nn.Linear(96, 2 * len(NUMBERS))
        # Whether light was counted is another matter, and read by heads of its own: what a pattern
        # is, a noise level need not know.
        self.tell_apart = nn.Conv1d(c.width, c.kind_heads, 1)
        self.kind_value = nn.Conv1d(c.width, c.kind_heads * c.value, 1)
        self.kind = nn.Sequential(
            nn.Linear(c.kind_heads * c.value + c.width + facts, 96), nn.ReLU(), nn.Linear(96, 1)
        )
        for layer in (self.say, self.choose, self.out, self.tell_apart):
            for values in layer.parameters():
                nn.init.zeros_(values)

    def forward(self, windows: Tensor, scale: Scale) -> tuple[Tensor, Tensor, Tensor]:
        """NUMBERS (B, 4) in the unit of the scale, log of their deviations (B, 4), logit (B,)."""
        count = len(windows)
        row = (slice(None), None, None, None)
        x = (windows - scale.middle[row]) / scale.unit[row]
        low, high = ((v - scale.middle) / scale.unit for v in (scale.low, scale.high))
        span = (high - low).clamp(min=1e-3)
        cells, calm, place = self._cells(x, low, span)
        said = self.say(cells)
        level, trust = calm + said[:, :1], 2 * said[:, 1:]
        knots = torch.linspace(0, 1, self.config.knots, device=x.device)[:, None]
        far = (place - knots) / NEAR  # (B, knots, n)
        weights = (trust - far.square().clamp(max=40) / 2).softmax(-1)
        curve = (weights * level).sum(-1)
        held = torch.logsumexp(-far.square() / 2, -1) - torch.ones_like(place).sum(-1).log()
        gathered = _gathered(self.choose(cells), self.value(cells))
        flat = x.flatten(1)
        ends = [
            (flat == extreme[:, None]).float().mean(1) for extreme in (flat.amin(1), flat.amax(1))
        ]
        facts = torch.stack([span.log2() / 4, *ends, torch.asinh(low)], 1)
        facts = torch.cat([curve / 3, held.clamp(min=-8) / 4, facts], 1)
        h = F.relu(self.join(torch.cat([gathered, facts], 1)))
        said = self.out(h + F.relu(self.more(h)))
        kinds = _gathered(self.tell_apart(cells), self.kind_value(cells))
        logit = self.kind(torch.cat([kinds, cells.mean(-1), facts], 1))[:, 0]
        start = curve.new_zeros(count, len(NUMBERS))
        start[:, 0], start[:, 1] = curve[:, 0], curve[:, -1]
        numbers = start + said[:, : len(NUMBERS)]
        return numbers, said[:, len(NUMBERS) :].clamp(-2.5, 3.0), logit

    def _cells(self, x: Tensor, low: Tensor, span: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is seen in each of n cells: (B, width, n), the level of its calmest filters, log2,
        and its brightness, 0 at the dark end and 1 at the bright one: (B, 1, n) each.
        """
        count, few = x.shape[:2]
        x = x.flatten(0, 1)[:, None]
        bank = self.bank - self.bank.mean((2, 3), keepdim=True)  # brightness is not noise
        bank = bank / bank.flatten(1).norm(dim=1)[:, None, None, None]
        fine, even = _energies(x, bank, STRIDE, POOL)
        halved = 2 * F.avg_pool2d(x, 2)  # white noise keeps its deviation
        far, far_even = _energies(halved, bank[: self.config.coarse], 1, POOL)
        edge = self.config.side // 2
        mean = F.avg_pool2d(x[..., edge:-edge, edge:-edge], STRIDE * POOL)
        rows = min(part.shape[2] for part in (fine, far, mean))
        fine, even, far, far_even, mean = (
            part[..., :rows, :rows] for part in (fine, even, far, far_even, mean)
        )
        own = fine.mean(1, keepdim=True)
        base = low.repeat_interleave(few)[:, None, None, None]
        width = span.repeat_interleave(few)[:, None, None, None]
        place = (mean - base) / width
        parts = [
            (fine - own) / 2,
            2 * even,
            (far - own) / 2,
            2 * far_even,
            own / 3,
            place.clamp(-2, 3),
        ]
        parts.append(torch.log2(width / 2 ** (own / 2)) / 4)
        h = F.relu(self.sort(torch.cat(parts, 1)))
        h = F.relu(self.around[0](h))
        h = h + F.relu(self.around[1](h))
        calm = fine.topk(max(1, self.config.filters // 8), 1, largest=False).values[:, -1:]
        return tuple(_together(part, count) for part in (h, calm, place))  # type: ignore


def _gathered(choice: Tensor, values: Tensor) -> Tensor:
    """Values (B, heads * n, cells), weighed by attention (B, heads, cells) -> (B, heads * n)."""
    values = values.unflatten(1, (choice.shape[1], -1))
    return torch.einsum("bhn,bhvn->bhv", choice.softmax(-1), values).flatten(1)


def _together(part: Tensor, count: int) -> Tensor:
    """(B * N, C, h, w) -> (B, C, N * h * w)."""
    return part.unflatten(0, (count, -1)).transpose(1, 2).flatten(2)


def _energies(x: Tensor, bank: Tensor, stride: int, pool: int) -> tuple[Tensor, Tensor]:
    """log2 of the energies in cells, and how evenly they are spread there: edges are not."""
    side = (x.shape[2] - bank.shape[2]) // stride + 1
    patches = F.unfold(x, bank.shape[2], stride=stride)  # faster than one channel's convolution
    answers = (bank.flatten(1) @ patches).unflatten(2, (side, -1))
    energy = torch.log2(F.avg_pool2d(answers.square(), pool) + FLOOR)
    even = torch.log2(F.avg_pool2d(answers.abs(), pool).square() + FLOOR) - energy
    return energy, even
