"""Clouds of colour: noise so coarse that only smaller pictures show it for what it is.

A picture's colours change where its brightness does, and in places only. Clouds change colour with
hardly any brightness, and everywhere alike.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

HALVINGS = 3  # smaller pictures that are looked at
SMALLEST = 32  # pixels a side of the smallest
BLOCK = 8  # pixels of a smaller picture, a side
FAINTEST = 2.0 / 255  # sigma of a channel
# Either colour is everywhere, and there is little brightness in calm places..
EVEN, COLOURED = 0.3, 5.0  # white noise has 0.8 and 2; pictures have less of one or the other
# ..or it is everywhere more, grows with the size of the detail, and knows nothing of brightness.
EVENER, GROWTH, UNRELATED = 0.6, 1.6, 0.3  # white noise: 0.8, 0.5, 0; pictures about 0.4, 1.2, 0.6


def halvings(sample: Tensor) -> int:
    """How many times a picture (3, H, W) must be halved to reach its clouds; 0 without any."""
    if len(sample) != 3:
        return 0
    x, found, before = sample[None], 0, 0.0
    for number in range(1, HALVINGS + 1):
        if min(x.shape[2:]) < 2 * SMALLEST:
            break
        x = F.avg_pool2d(x, 2)
        colour, brightness = _energies(x)
        sigma = float(colour.median() / 3) ** 0.5
        if sigma > FAINTEST and _clouded(colour, brightness, sigma / max(before, 1e-6)):
            found = number
        before = sigma
    return found


def _clouded(colour: Tensor, brightness: Tensor, growth: float) -> bool:
    even = float(colour.quantile(0.1) / colour.median())
    calm = brightness <= brightness.quantile(0.25)
    coloured = float(colour[calm].median()) > COLOURED * float(brightness[calm].median())
    if even > EVEN and coloured:
        return True
    related = torch.corrcoef(torch.stack([colour, brightness]).clamp(min=1e-12).log())
    return even > EVENER and growth > GROWTH and growth < 1e3 and float(related[0, 1]) < UNRELATED


def _energies(x: Tensor) -> tuple[Tensor, Tensor]:
    """Energies of colour and of brightness in the finest detail of blocks of (1, 3, H, W)."""
    height, width = (side // 2 * 2 for side in x.shape[2:])
    x = x[..., :height, :width]
    smooth = F.interpolate(
        F.avg_pool2d(x, 2), scale_factor=2.0, mode="bilinear", align_corners=False
    )
    detail = x - smooth
    gray = detail.mean(1, keepdim=True)
    colour = F.avg_pool2d((detail - gray).square().sum(1), BLOCK).flatten()
    return colour, F.avg_pool2d(3 * gray.square()[:, 0], BLOCK).flatten()
