"""Metrics of pictures as a screen shows them: PSNR, SSIM, MS-SSIM, GMSD.

All take x and truth, (C, H, W) float64, white being 1.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

K1, K2 = 0.01, 0.03  # Wang et al. 2004, section III-C
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik 2003, section 3.2
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
GMSD_C = 170 / 255**2  # Xue et al. 2014, section III-B, for values in 0..1


class TooSmallError(ValueError):
    """The picture is smaller than a metric's window."""


def psnr(x: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio over all samples, dB, white being 1; inf for equal pictures."""
    error = float((x - truth).square().mean())
    return -10 * math.log10(error) if error > 0 else math.inf


def psnr_fit(x: Tensor, truth: Tensor) -> float:
    """PSNR of a*x + b with the a and b that bring it nearest to the truth.

    For pairs whose gain and offset are not calibrated, as in microscopy (Weigert et al., CARE,
    Nature Methods 2018, methods section on evaluation).
    """
    centred, wanted = x - x.mean(), truth - truth.mean()
    power = float(centred.square().sum())
    gain = float((centred * wanted).sum()) / power if power > 0 else 0.0
    return psnr(gain * centred + truth.mean(), truth)


def ssim(x: Tensor, truth: Tensor, *, gaussian: bool = True) -> float:
    """Structural similarity, mean over channels and over all windows that lie within the picture.

    gaussian: an 11x11 Gaussian window of sigma 1.5 and population moments (Wang et al. 2004); else
    7x7 equal weights and sample moments.
    """
    luminance, structure = _similarity(x, truth, gaussian)
    return float((luminance * structure).mean())


def ms_ssim(x: Tensor, truth: Tensor) -> float:
    """SSIM over five scales, each half the one before (Wang, Simoncelli, Bovik 2003).

    Raises TooSmallError below 161 pixels a side.
    """
    if min(x.shape[-2:]) <= 160:  # the 11x11 window must fit four halvings down
        raise TooSmallError("MS-SSIM takes pictures of at least 161 pixels a side")
    value = torch.ones(x.shape[0], dtype=x.dtype)
    for scale, weight in enumerate(SCALES):
        last = scale == len(SCALES) - 1
        luminance, structure = _similarity(x, truth, gaussian=True)
        similar = (luminance * structure if last else structure).mean((-2, -1))
        value = value * similar.clamp(min=0) ** weight
        x, truth = F.avg_pool2d(x, 2), F.avg_pool2d(truth, 2)
    return float(value.mean())


def gmsd(x: Tensor, truth: Tensor) -> float:
    """Gradient magnitude similarity deviation (Xue et al. 2014) of the luma; 0 is best."""
    one, other = (_gradient(F.avg_pool2d(_luma(each), 2)) for each in (x, truth))
    similar = (2 * one * other + GMSD_C) / (one.square() + other.square() + GMSD_C)
    return float(similar.std(correction=0))


def _gradient(plane: Tensor) -> Tensor:
    """Gradient magnitude by Prewitt's operator, (1, H, W)."""
    across = torch.tensor([[1.0, 0, -1]] * 3, dtype=plane.dtype) / 3
    kernels = torch.stack([across, across.T])[:, None]
    return F.conv2d(plane[None], kernels, padding=1).square().sum(1).sqrt()


def _luma(x: Tensor) -> Tensor:
    if x.shape[0] != 3:
        return x[:1]
    return torch.einsum("chw,c->hw", x, torch.tensor(LUMA, dtype=x.dtype))[None]


def _similarity(x: Tensor, truth: Tensor, gaussian: bool) -> tuple[Tensor, Tensor]:
    """SSIM's two factors, luminance and contrast-structure, for every window: (C, h, w) each."""
    side = 11 if gaussian else 7
    if min(x.shape[-2:]) < side:
        raise TooSmallError(f"SSIM takes pictures of at least {side} pixels a side")
    at = torch.arange(side, dtype=x.dtype) - side // 2
    line = torch.exp(-0.5 * (at / 1.5) ** 2) if gaussian else torch.ones_like(at)
    line = line / line.sum()
    sample = 1.0 if gaussian else side**2 / (side**2 - 1)
    products = torch.stack([x, truth, x * x, truth * truth, x * truth])
    flat = products.reshape(-1, 1, *x.shape[-2:])
    blurred = F.conv2d(F.conv2d(flat, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))
    mx, mt, xx, tt, xt = blurred.reshape(5, x.shape[0], *blurred.shape[-2:])
    luminance = (2 * mx * mt + K1**2) / (mx**2 + mt**2 + K1**2)
    covariance, spread = sample * (xt - mx * mt), sample * (xx - mx**2 + tt - mt**2)
    return luminance, (2 * covariance + K2**2) / (spread + K2**2)
