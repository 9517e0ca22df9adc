"""How near a picture is to the true one: PSNR, SSIM, MS-SSIM, GMSD; relMSE, SMAPE and FLIP of HDR.

Papers score in different ways, and the ways differ by tenths of a decibel; `Protocol` names the two
that the literature on blind denoising uses. Compare only figures of one protocol.
"""

import difflib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mdn.errors import UsageError
from mdn.metrics import measures
from mdn.metrics.measures import TooSmallError, gmsd, ms_ssim, psnr, psnr_fit, ssim


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
    Metric("lpips", "LPIPS", 4, measures.lpips, lower=True, missing=measures.no_lpips),
    Metric("relmse", "relMSE", 4, measures.relmse, lower=True, linear=True),
    Metric("smape", "SMAPE", 4, measures.smape, lower=True, linear=True),
    Metric("flip", "HDR-FLIP", 4, measures.flip, lower=True, linear=True, missing=measures.no_flip),
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
