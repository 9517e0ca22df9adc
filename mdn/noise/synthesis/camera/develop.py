"""What a camera's processor does to colours after the demosaic: noise reduction, tone, sharpening.

All take and give (B, 3, H, W), linear or display light of 0..1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.synthesis import random_fields

# Luma and two colour differences, an orthogonal-ish opponent space that inverts exactly.
TO_OPPONENT = ((0.25, 0.5, 0.25), (-0.5, 0.0, 0.5), (-0.25, 0.5, -0.25))


def reduce_noise(x: Tensor, luma: float, chroma: float, radius: int) -> Tensor:
    """Guided filters of their own picture (He, Sun, Tang, PAMI 2013, section 3.4), colour first.

    Args:
        x: linear light before the colour matrix.
        luma, chroma: deviation of what is taken for noise; 0 leaves the part alone.
        radius: of the luma's window, pixels; the colours' is three times as wide.
    """
    matrix = torch.tensor(TO_OPPONENT).to(x)
    planes = torch.einsum("ij,bjhw->bihw", matrix, x)
    bright, colours = planes[:, :1], planes[:, 1:]
    if chroma > 0:
        colours = _guided(colours, 3 * radius, chroma)
    if luma > 0:
        bright = _guided(bright, radius, luma)
    return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(matrix), torch.cat([bright, colours], 1))


def tone(linear: Tensor, gamma: float, contrast: float) -> Tensor:
    """Linear light to display: a power, then an S-curve mixed in by the share `contrast`."""
    display = linear.clamp(1e-8, 1) ** (1 / gamma)
    return torch.lerp(display, display * display * (3 - 2 * display), contrast)


def sharpen(x: Tensor, sigma: float, amount: float) -> Tensor:
    """Unsharp mask: `amount` times what a Gaussian of `sigma` pixels takes away is added."""
    if amount == 0:
        return x
    return x + amount * (x - blur(x, sigma))


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian, cut off at three sigma; edges repeated."""
    taps = random_fields.gaussian_taps(sigma)
    reach = len(taps) // 2
    return random_fields.blurred(F.pad(x, (reach,) * 4, mode="replicate"), taps)


def _guided(x: Tensor, radius: int, noise: float) -> Tensor:
    """Local means where the window varies no more than the noise; the pixel itself at edges."""
    mean = _box(x, radius)
    variance = (_box(x * x, radius) - mean * mean).clamp(min=0)
    share = variance / (variance + noise * noise)
    return _box(share, radius) * x + _box((1 - share) * mean, radius)


def _box(x: Tensor, radius: int) -> Tensor:
    x = F.pad(x, (radius,) * 4, mode="replicate")
    return F.avg_pool2d(x, 2 * radius + 1, stride=1)
