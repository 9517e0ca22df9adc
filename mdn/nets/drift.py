"""A net for scan lines whose brightness drifts, as in an electron microscope.

All pixels of a line share one offset, so that each line lies above the last one by a step that
every strip of columns shows; a picture's own steps belong to some of the strips, mostly. The net
looks at narrow strips, whose order hardly matters (Zaheer et al., "Deep Sets", NeurIPS 2017),
weighs their steps, and says for each line how sure the step is, and how near to nought step and
offset are beforehand. That makes the offsets a Gaussian Markov chain: its mean is what to subtract,
nearly 0 where nothing is known, and its variance says how sure that is.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIP = 8  # columns
ROUNDING = 0.3 / 255  # deviation of a sample that 8 bits have rounded
FEATURES = 6
WIDTH, DEPTH = 16, 4  # of the part that looks at strips
PRODUCTS = 6
LINES_WIDTH, LINES_DEPTH = 32, 7  # and of that for whole lines
LARGEST = 9.0  # logarithm of a weight, on the scale of the usual step
BEGIN = 0.0, 1.0, -3.0, -4.0  # what an untrained net says: that steps are those of drift


class Chain(NamedTuple):
    """Offsets (B, H), nominal range 0..1, and logarithms of their variances; see `solve`."""

    mean: Tensor
    log_variance: Tensor
    diagonal: Tensor  # (B, H), of the inverse covariance
    side: Tensor  # (B, H - 1), beside it
    pivots: Tensor  # (B, H): their product is its determinant


class DriftNet(nn.Module):
    """Pictures -> the offsets of their lines."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(FEATURES, WIDTH, (3, 1), padding=(1, 0))
        reaches = [2**n for n in range(LINES_DEPTH)]
        self.own = nn.ModuleList(
            nn.Conv2d(WIDTH, WIDTH, (3, 1), padding=(d, 0), dilation=(d, 1))
            for d in reaches[:DEPTH]
        )
        self.shared = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, 3, padding=d, dilation=d) for d in reaches[:DEPTH]
        )
        self.trust = nn.Conv2d(WIDTH, 1, 1)
        self.join = nn.Conv1d(2 * WIDTH + 2 + PRODUCTS, LINES_WIDTH, 3, padding=1)
        self.lines = nn.ModuleList(
            nn.Conv1d(LINES_WIDTH, LINES_WIDTH, 3, padding=d, dilation=d) for d in reaches
        )
        self.whole = nn.ModuleList(nn.Linear(LINES_WIDTH, LINES_WIDTH) for _ in reaches)
        self.last = nn.Conv1d(LINES_WIDTH, 4, 1)
        nn.init.zeros_(self.last.weight)
        self.last.bias = nn.Parameter(torch.tensor(BEGIN))

    def forward(self, x: Tensor) -> Chain:
        """(B, C, H, W), nominal range 0..1, strips of columns side by side."""
        steps, features, scale = profile(x)
        h = F.relu(self.first(features))
        for own, shared in zip(self.own, self.shared, strict=True):
            h = h + F.relu(own(h) + shared(h.mean(3))[..., None])
        trust = (self.trust(h)[:, 0] + features[:, 5].clamp(min=1e-3).log()).softmax(2)
        step = (trust * steps).sum(2)
        apart = (trust * (steps - step[..., None]).square()).sum(2)
        spread = (apart + ROUNDING**2).sqrt()
        heard = [h.mean(3), (h * trust[:, None]).sum(3), products(steps, scale)]
        heard += [torch.asinh(each / scale)[:, None] for each in (step, spread)]
        g = F.relu(self.join(torch.cat(heard, 1)))
        for line, whole in zip(self.lines, self.whole, strict=True):
            g = g + F.relu(line(g) + whole(g.mean(2))[..., None])
        moved, *surer = self.last(g).unbind(1)
        logs = [LARGEST * torch.tanh(each.double() / LARGEST) for each in surer]
        weights = [each.exp() / scale.double().square() for each in logs]
        return solve((step + scale * moved).double(), *weights)


def profile(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Steps from line to line in narrow strips, what is known of them, and their usual size.

    Returns (B, H - 1, S), the mean over a strip without samples that were cut off; (B, FEATURES,
    H - 1, S), free of scale but for one; (B, 1).
    """
    cut = (x <= 0) | (x >= 1)
    good = ~(cut[:, :, 1:] | cut[:, :, :-1])
    change = (x[:, :, 1:] - x[:, :, :-1]) * good
    size = x.shape[1] * STRIP

    def summed(values: Tensor) -> Tensor:
        return values.sum(1).unfold(2, STRIP, STRIP).sum(3)

    count = summed(good.float())
    steps = summed(change) / count.clamp(min=1)
    variance = (summed(change.square()) / count.clamp(min=1) - steps.square()).clamp(min=0)
    doubt = (variance / count.clamp(min=1) + ROUNDING**2).sqrt()
    middle = steps.median(2, keepdim=True).values
    scale = 1.5 * middle.abs().median(1, keepdim=True).values + ROUNDING
    features = [
        torch.asinh(middle / scale).expand_as(steps),
        torch.asinh(steps / scale),
        torch.asinh((steps - middle) / doubt),
        (doubt / scale).log(),
        (255 * scale).log().expand_as(steps),
        count / size,
    ]
    return steps, torch.stack(features, 1), scale[:, :, 0]


def products(steps: Tensor, scale: Tensor) -> Tensor:
    """(B, PRODUCTS, H - 1): what the steps (B, H - 1, S) of two halves of the strips share.

    Their mean over the lines holds no noise of the pixels: the covariance of a step with that of
    every other strip, with the next steps, and with those of the picture's other side.
    """
    even, odd = steps[..., ::2].mean(2), steps[..., 1::2].mean(2)
    left, right = (half.mean(2) for half in steps.tensor_split(2, 2))
    pairs = [F.pad(even[:, lag:] * odd[:, : odd.shape[1] - lag], (0, lag)) for lag in range(4)]
    pairs += [F.pad(left[:, lag:] * right[:, : right.shape[1] - lag], (0, lag)) for lag in range(2)]
    return torch.asinh(torch.stack(pairs, 1) / scale[:, None].square())


def solve(steps: Tensor, sure: Tensor, calm: Tensor, level: Tensor) -> Chain:
    """The Gaussian chain o whose density is exp(-E / 2), by Thomas's algorithm.

    E = sum sure (o[r + 1] - o[r] - steps[r])^2 + calm (o[r + 1] - o[r])^2 + level o[r]^2; all are
    (B, H - 1), and the last line has the level of the one before.
    """
    link = sure + calm
    diagonal = torch.cat([level, level[:, -1:]], 1) + F.pad(link, (1, 0)) + F.pad(link, (0, 1))
    right = F.pad(sure * steps, (1, 0)) - F.pad(sure * steps, (0, 1))
    pivots, values = _eliminated(diagonal, -link, right)
    others = _eliminated(diagonal.flip(1), -link.flip(1), right.flip(1))[0].flip(1)
    mean = [values[-1] / pivots[:, -1]]
    for r in range(len(values) - 2, -1, -1):
        mean.append((values[r] + link[:, r] * mean[-1]) / pivots[:, r])
    variance = 1 / (pivots + others - diagonal)
    return Chain(torch.stack(mean[::-1], 1), variance.log(), diagonal, -link, pivots)


def _eliminated(diagonal: Tensor, side: Tensor, right: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Pivots (B, H), and what the elimination makes of the right side, line by line."""
    pivots, values = [diagonal[:, 0]], [right[:, 0]]
    for beside, main, value in zip(
        side.unbind(1), diagonal.unbind(1)[1:], right.unbind(1)[1:], strict=True
    ):
        factor = beside / pivots[-1]
        pivots.append(main - factor * beside)
        values.append(value - factor * values[-1])
    return torch.stack(pivots, 1), values
