"""A picture of counted light to one without noise, as one graph: for programs that run only nets.

It holds what `calibration` and `restore` do with such a picture, as far as tensors alone can say
it: the noise is read, stabilised, removed and transformed back. Hot pixels, stamps, stripes and
flat areas, and light of so few photons that they can be told apart, are not looked for.
"""

import torch
from torch import Tensor, nn

from mdn.encoding.counts import HIGH, LOW, SIGMAS
from mdn.nets.counts_reader import SIDE, scale_of
from mdn.pipeline.counts_noise import ALIKE, LEAST_BLUR, MOST_SPACING, reader, variance_line
from mdn.pipeline.denoise_tiles import without_seams
from mdn.pipeline.restore import mean_around
from mdn.registry.export import AnySize

MIDDLE_STEP = 4  # every so many rows and columns are sorted to know the middle and the ends
ROOT = 1.5**0.5  # of the exact unbiased inverse, see encoding.anscombe
FLATTEST = 1e-6  # gain that stands for none, in deviations of the noise
DARKEST = 0.01  # least variance of the middle brightness, of that halfway between the ends


class CountsGraph(nn.Module):
    """(1, 1, H, W) of any unit, H and W of SIDE at least -> the same without noise."""

    def __init__(self, net: AnySize) -> None:
        super().__init__()
        self.net, self.reader = net, reader()

    def forward(self, image: Tensor) -> Tensor:
        some = image[0, 0, ::MIDDLE_STEP, ::MIDDLE_STEP].flatten().sort().values
        last = some.shape[0] - 1
        middle = some[last // 2]
        dark, bright = (some[last * round(10 * share) // 1000] - middle for share in (LOW, HIGH))
        x = image - middle
        windows = _windows(x)
        scale = scale_of(windows)
        numbers, spreads, _ = self.reader(windows, scale)
        gain, constant = variance_line(numbers, scale)
        usual = gain * (scale.low + scale.high) / 2 + constant
        gain = torch.maximum(gain, FLATTEST * usual.sqrt())
        curve = _Curve(gain, torch.maximum(constant, DARKEST * usual))
        spacing = _spacing(numbers[:, 3], spreads[:, 3].exp())
        shared = spacing > 1  # then the unit is the range, as in calibration
        black = torch.where(shared, curve.forward(dark), -SIGMAS / 2)
        span = torch.where(shared, curve.forward(bright) - black, SIGMAS).clamp(min=1e-6)
        y = (curve.forward(x) - black) / span
        rows, columns = (_apart(length, spacing) for length in image.shape[2:])
        y = self.net(y[:, :, rows][..., columns], (1 / span).expand_as(y))[0]
        y = without_seams(y[:, :, rows.argsort()][..., columns.argsort()], spacing)
        clean = curve.inverse(y * span + black)
        light = mean_around(x - clean, torch.zeros_like(x, dtype=torch.bool))
        clean = clean + torch.where(shared, 0.0, light)
        return torch.where(scale.even | ~(usual > 0), image, clean + middle)


class _Curve:
    """`encoding.Anscombe` for gain and constant that are tensors, and above 0."""

    def __init__(self, gain: Tensor, constant: Tensor) -> None:
        self.gain, self.constant = gain, 3 / 8 * gain.square() + constant
        self.root0 = self.constant.sqrt()

    def forward(self, x: Tensor) -> Tensor:
        root = (self.gain * x + self.constant).clamp(min=0).sqrt()
        return 2 * torch.maximum(x, -self.constant / self.gain) / (root + self.root0)

    def inverse(self, y: Tensor) -> Tensor:
        y = torch.maximum(y, ROOT - 2 / self.gain * self.root0)
        share = (self.gain / (self.gain * y + 2 * self.root0)).clamp(0.0, 1 / ROOT)
        bias = 0.25 + ROOT / 4 * share - 11 / 8 * share**2 + 5 / 8 * ROOT * share**3
        return y * (self.root0 + self.gain / 4 * y) + self.gain * bias


def _windows(x: Tensor) -> Tensor:
    """(1, 1, H, W) -> (1, N, SIDE, SIDE): all windows, about the middle."""
    down, across = (length // SIDE for length in x.shape[2:])
    top, left = (length % SIDE // 2 for length in x.shape[2:])
    x = x[0, 0, top : top + down * SIDE, left : left + across * SIDE]
    windows = x.reshape(down, SIDE, across, SIDE).transpose(1, 2)
    return windows.reshape(1, down * across, SIDE, SIDE)


def _spacing(blur: Tensor, deviation: Tensor) -> Tensor:
    """`CountsNoise.spacing` from what the reader says of the blur, a whole number."""
    blur = 2 ** torch.where(blur - deviation > LEAST_BLUR, blur, 0.0) - 1
    distance = torch.arange(1, MOST_SPACING)
    alike = (-(distance**2) / (4 * blur.clamp(min=1e-3) ** 2)).exp() >= ALIKE
    return 1 + alike.sum()


def _apart(length: int, spacing: Tensor) -> Tensor:
    """An order of rows in which those that lie `spacing` apart follow each other.

    First all from row 0 on, then back up those that are left, and so on: where two runs meet the
    picture goes on as if mirrored.
    """
    row = torch.arange(length)
    run = row % spacing
    return (run * length + torch.where(run % 2 == 0, row, length - 1 - row)).argsort()
