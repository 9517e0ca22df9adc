"""How near a picture is to the true one; see `scoring`."""

from mdn.metrics.measures import ms_ssim, psnr, psnr_fit, ssim
from mdn.metrics.scoring import METRICS, PROTOCOLS, Metric, Protocol, get, prepare, score, tone_map

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Metric",
    "Protocol",
    "get",
    "ms_ssim",
    "prepare",
    "psnr",
    "psnr_fit",
    "score",
    "ssim",
    "tone_map",
]
