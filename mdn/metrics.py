"""How near a picture is to the true one: PSNR, SSIM, MS-SSIM, GMSD; relMSE, SMAPE and FLIP of HDR.

Papers score in different ways, and the ways differ by tenths of a decibel; `Protocol` names the two
that the literature on blind denoising uses. Compare only figures of one protocol.

PSNR, SSIM, MS-SSIM, GMSD and LPIPS compare pictures as a screen shows them, white being 1; relMSE,
SMAPE and FLIP linear light, unbounded above. FLIP and LPIPS are their authors' own packages.
"""

import difflib
import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.errors import UsageError

K1, K2 = 0.01, 0.03  # Wang et al. 2004, section III-C
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik 2003, section 3.2
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
GMSD_C = 170 / 255**2  # Xue et al. 2014, section III-B, for values in 0..1
EPSILON = 0.01  # keeps black from counting without end
BACKBONE = "alexnet-owt-7be5be79.pth"  # torchvision's, the one that LPIPS was fitted on
LPIPS_SIDE = 64  # pixels: below, AlexNet's last layers have nothing left to look at


# --- the metrics: functions of a picture and the true one, (C, H, W) float64 each ---------------


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
    centred, target = x - x.mean(), truth - truth.mean()
    power = float(centred.square().sum())
    gain = float((centred * target).sum()) / power if power > 0 else 0.0
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
    one, other = (_gradient(F.avg_pool2d(_luma(page), 2)) for page in (x, truth))
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


def relmse(x: Tensor, truth: Tensor) -> float:
    """Mean over samples of (x - t)^2 / (t^2 + .01) (Rousselle et al. 2011, section 6)."""
    return float(((x - truth).square() / (truth.square() + EPSILON)).mean())


def smape(x: Tensor, truth: Tensor) -> float:
    """Mean over samples of |x - t| / (|x| + |t| + .01) (Vogels et al. 2018, section 5.2)."""
    return float(((x - truth).abs() / (x.abs() + truth.abs() + EPSILON)).mean())


def flip(x: Tensor, truth: Tensor) -> float:
    """HDR-FLIP, the mean over pixels (Andersson et al. 2021), by the authors' own package.

    67 pixels a degree; exposures are chosen from the truth, as the paper does. Gray counts as three
    equal channels; negative light, which no eye sees, as black.
    """
    import flip_evaluator

    pages = [_visible(page) for page in (truth, x)]
    _, mean, _ = flip_evaluator.evaluate(*pages, "HDR", applyMagma=False)
    return float(mean)


def _visible(x: Tensor) -> np.ndarray:
    """(H, W, 3) float32, finite and not negative."""
    planes = torch.nan_to_num(x, nan=0.0, posinf=65504.0, neginf=0.0).clamp(min=0)
    return planes.expand(3, -1, -1).permute(1, 2, 0).float().contiguous().numpy()


def no_flip() -> str:
    """Why FLIP cannot be measured here, in one line, or nothing."""
    if find_spec("flip_evaluator") is None:
        return "flip: not measured: needs flip-evaluator; pip install 'mdn[flip]'"
    return ""


def backbone() -> Path:
    """Where torchvision keeps AlexNet's weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE


def no_lpips() -> str:
    """Why LPIPS cannot be measured here, in one line, or nothing.

    Its package would download the weights on its first use, so they are looked for beforehand.
    """
    if find_spec("lpips") is None or find_spec("torchvision") is None:
        return "lpips: not measured: needs lpips and torchvision; pip install 'mdn[lpips]'"
    if not backbone().is_file():
        return (
            f"lpips: not measured: AlexNet's weights are not at hand; put {BACKBONE} of torchvision"
            f" into {backbone().parent}"
        )
    return ""


def lpips(x: Tensor, truth: Tensor) -> float:
    """The distance by AlexNet's features, version 0.1 (Zhang et al., CVPR 2018); 0 is best.

    Gray counts as three equal channels.

    Raises TooSmallError below 64 pixels a side.
    """
    if min(x.shape[-2:]) < LPIPS_SIDE:
        raise TooSmallError(f"LPIPS takes pictures of at least {LPIPS_SIDE} pixels a side")
    pages = [(2 * page - 1).float().expand(3, -1, -1)[None] for page in (x, truth)]
    with torch.inference_mode():
        return float(_lpips_net()(*pages))


@cache
def _lpips_net() -> Any:
    import lpips as package

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return package.LPIPS(net="alex", verbose=False).eval()


# --- by name, and as papers do it --------------------------------------------------------------


@dataclass(frozen=True)
class Protocol:
    """How two pictures are made comparable before they are compared."""

    name: str
    rounded: bool  # values become multiples of 1/255 first, as an 8-bit file holds them
    gaussian: bool  # SSIM's window is 11x11, Gaussian, sigma 1.5; else 7x7, all weights equal
    border: int  # pixels cut off at each edge


PROTOCOLS = {
    # Chen et al., CVPR 2023, as their released evaluation does it.
    "paper": Protocol("paper", rounded=True, gaussian=True, border=1),
    # Ma et al., NeurIPS 2024; the window is scikit-image's default.
    "float": Protocol("float", rounded=False, gaussian=False, border=0),
}


@dataclass(frozen=True)
class Metric:
    """One figure: its name on the command line, its title, and how it is shown."""

    name: str
    title: str
    digits: int
    # (picture, truth) -> the figure; of `ssim` with the window of the protocol
    function: Callable[..., float]
    lower: bool = False  # whether lower is better
    linear: bool = False  # whether it compares linear light, as renders hold it, and nothing else
    # why it cannot be measured here, in one line, or nothing
    missing: Callable[[], str] = lambda: ""


_ALL = (
    Metric("psnr", "PSNR dB", 2, psnr),
    Metric("ssim", "SSIM", 4, ssim),
    Metric("ms-ssim", "MS-SSIM", 4, ms_ssim),
    Metric("gmsd", "GMSD", 4, gmsd, lower=True),
    Metric("psnr-fit", "PSNR after fit dB", 2, psnr_fit),
    Metric("lpips", "LPIPS", 4, lpips, lower=True, missing=no_lpips),
    Metric("relmse", "relMSE", 4, relmse, lower=True, linear=True),
    Metric("smape", "SMAPE", 4, smape, lower=True, linear=True),
    Metric("flip", "HDR-FLIP", 4, flip, lower=True, linear=True, missing=no_flip),
)
METRICS = {metric.name: metric for metric in _ALL}


def get(name: str) -> Metric:
    """The metric of that name. Raises UsageError that offers the nearest names."""
    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(name.lower(), METRICS, n=2, cutoff=0.5) or list(METRICS)
    raise UsageError(f"unknown metric {name!r}; try {', '.join(near)}")


def prepare(picture: np.ndarray, protocol: Protocol, linear: bool = False) -> Tensor:
    """(H, W, C) as stored -> (C, h, w) float64 as the protocol compares it.

    Integers span their dtype, floats have white at 1; what lies outside 0..1 is clipped. Linear
    light is tone-mapped first.
    """
    values = tone_map(picture) if linear else picture
    white = np.iinfo(values.dtype).max if values.dtype.kind in "ui" else 1
    values = np.clip(values.astype(np.float64) / white, 0, 1)
    if protocol.rounded:
        values = np.rint(values * 255) / 255
    return _planes(values, protocol.border)


def _planes(values: np.ndarray, cut: int) -> Tensor:
    height, width = values.shape[:2]
    inner = values[cut : height - cut, cut : width - cut].astype(np.float64)
    return torch.from_numpy(np.ascontiguousarray(inner.transpose(2, 0, 1)))


def tone_map(linear: np.ndarray) -> np.ndarray:
    """Linear light -> float32 as a screen shows it: clipped to 0..1, then gamma 2.2.

    It is the tone map of the published figures on renders (Chen et al., CVPR 2023).
    """
    values = np.nan_to_num(linear.astype(np.float32), nan=0, posinf=1, neginf=0)
    return np.clip(values, 0, 1) ** np.float32(1 / 2.2)


def score(
    picture: np.ndarray,
    truth: np.ndarray,
    metrics: tuple[str, ...],
    protocol: Protocol,
    linear: bool = False,
) -> dict[str, float | None]:
    """The metrics of a picture against the true one, both (H, W, C) as stored, by name.

    linear: both hold linear light. None where the picture is too small for a metric's window, and
    for metrics of linear light on other pictures. Raises UsageError for an unknown metric.
    """
    shown = prepare(picture, protocol, linear), prepare(truth, protocol, linear)
    light = (_planes(picture, protocol.border), _planes(truth, protocol.border)) if linear else None
    scores: dict[str, float | None] = dict.fromkeys(metrics)
    for metric in map(get, metrics):
        compared = light if metric.linear else shown
        window = {"gaussian": protocol.gaussian} if metric.function is ssim else {}
        if compared is not None:
            with suppress(TooSmallError):
                scores[metric.name] = metric.function(*compared, **window)
    return scores
