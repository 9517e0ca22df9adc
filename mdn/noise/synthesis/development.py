"""From a raw mosaic to a finished picture: demosaic, noise reduction, tone, sharpening.

Three ways to demosaic, from soft to crisp, all linear but the last. The other steps take and give
(B, 3, H, W), linear or display light of 0..1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.synthesis import random_fields

# Malvar, He, Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color
# images", ICASSP 2004, figure 2; all in eighths.
GREEN = (
    (0, 0, -1, 0, 0), (0, 0, 2, 0, 0), (-1, 2, 4, 2, -1), (0, 0, 2, 0, 0), (0, 0, -1, 0, 0),
)  # fmt: skip
SAME_ROW = (
    (0, 0, 0.5, 0, 0), (0, -1, 0, -1, 0), (-1, 4, 5, 4, -1), (0, -1, 0, -1, 0), (0, 0, 0.5, 0, 0),
)  # fmt: skip
OPPOSITE = (
    (0, 0, -1.5, 0, 0), (0, 2, 0, 2, 0), (-1.5, 0, 6, 0, -1.5), (0, 2, 0, 2, 0),
    (0, 0, -1.5, 0, 0),
)  # fmt: skip
CROSS = ((0.0, 0.25, 0.0), (0.25, 1.0, 0.25), (0.0, 0.25, 0.0))
BOX = ((0.25, 0.5, 0.25), (0.5, 1.0, 0.5), (0.25, 0.5, 0.25))


def bayer_masks(height: int, width: int) -> Tensor:
    """(3, H, W): 1 where an RGGB sensor has a cell of that colour."""
    masks = torch.zeros(3, height, width)
    masks[0, 0::2, 0::2] = 1
    masks[1, 0::2, 1::2] = masks[1, 1::2, 0::2] = 1
    masks[2, 1::2, 1::2] = 1
    return masks


def bilinear(mosaic: Tensor) -> Tensor:
    """(B, 1, H, W) raw -> (B, 3, H, W): means of the nearest cells of a colour. The softest."""
    cells = mosaic * bayer_masks(*mosaic.shape[2:]).to(mosaic)
    kernel = torch.tensor([BOX, CROSS, BOX]).unsqueeze(1).to(mosaic)
    return F.conv2d(_padded(cells, 1), kernel, groups=3)


def malvar(mosaic: Tensor) -> Tensor:
    """(B, 1, H, W) raw -> (B, 3, H, W): bilinear, corrected by the other colours' curvature."""
    kernels = torch.stack(
        [torch.tensor(k) for k in (GREEN, SAME_ROW, torch.tensor(SAME_ROW).T.tolist(), OPPOSITE)]
    )
    colours = F.conv2d(_padded(mosaic, 2), kernels.unsqueeze(1).to(mosaic) / 8)
    green, row, column, opposite = colours.split(1, 1)
    is_red, _, is_blue = bayer_masks(*mosaic.shape[2:]).to(mosaic).unsqueeze(1)
    is_green = 1 - is_red - is_blue
    red_row = torch.zeros_like(is_red)
    red_row[:, 0::2] = 1  # rows of red cells; blue's are the others
    at_green_row = is_green * red_row
    at_green_column = is_green * (1 - red_row)
    red = is_red * mosaic + at_green_row * row + at_green_column * column + is_blue * opposite
    blue = is_blue * mosaic + at_green_row * column + at_green_column * row + is_red * opposite
    return torch.cat([red, is_green * mosaic + (1 - is_green) * green, blue], 1)


def edge_directed(mosaic: Tensor) -> Tensor:
    """(B, 1, H, W) raw -> (B, 3, H, W): green along the weaker gradient, then colour differences.

    Hamilton and Adams, US patent 5,629,734 (expired), in its simplest form.
    """
    x = _padded(mosaic, 2)
    shift = {
        (dy, dx): x[..., 2 + dy : x.shape[2] - 2 + dy, 2 + dx : x.shape[3] - 2 + dx]
        for dy, dx in ((0, -2), (0, -1), (0, 1), (0, 2), (-2, 0), (-1, 0), (1, 0), (2, 0))
    }
    curve_row = 2 * mosaic - shift[0, -2] - shift[0, 2]
    curve_column = 2 * mosaic - shift[-2, 0] - shift[2, 0]
    step_row = (shift[0, -1] - shift[0, 1]).abs() + curve_row.abs()
    step_column = (shift[-1, 0] - shift[1, 0]).abs() + curve_column.abs()
    along_row = (shift[0, -1] + shift[0, 1]) / 2 + curve_row / 4
    along_column = (shift[-1, 0] + shift[1, 0]) / 2 + curve_column / 4
    share = step_column / (step_row + step_column).clamp(min=1e-6)
    masks = bayer_masks(*mosaic.shape[2:]).to(mosaic)
    green = torch.where(masks[1] > 0, mosaic, share * along_row + (1 - share) * along_column)
    kernel = torch.tensor([BOX, BOX]).unsqueeze(1).to(mosaic)
    apart = (mosaic - green) * masks[[0, 2]]
    red, blue = (F.conv2d(_padded(apart, 1), kernel, groups=2) + green).split(1, 1)
    return torch.cat([red, green, blue], 1)


METHODS = (bilinear, malvar, edge_directed)


def _padded(x: Tensor, width: int) -> Tensor:
    """Mirrored without repeating the edge, which keeps the pattern's parity; tiny ones repeated."""
    mode = "reflect" if min(x.shape[2:]) > width else "replicate"
    return F.pad(x, (width,) * 4, mode=mode)


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
    x, side = F.pad(x, (radius,) * 4, mode="replicate"), 2 * radius + 1
    return F.avg_pool2d(F.avg_pool2d(x, (side, 1), stride=1), (1, side), stride=1)
