"""LPIPS (Zhang et al., CVPR 2018), by its authors' package, where that and AlexNet's weights are.

mdn downloads nothing: the package would, on its first use, so that is looked at beforehand.
"""

import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mdn.metrics.display import TooSmallError

BACKBONE = "alexnet-owt-7be5be79.pth"  # torchvision's, the one that LPIPS was fitted on
SMALLEST = 64  # pixels a side: below, AlexNet's last layers have nothing left to look at


def backbone() -> Path:
    """Where torchvision keeps AlexNet's weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE


def missing() -> str:
    """Why LPIPS cannot be measured here, in one line, or nothing."""
    if find_spec("lpips") is None or find_spec("torchvision") is None:
        return "lpips: not measured: needs lpips and torchvision; pip install mdn[lpips]"
    if not backbone().is_file():
        return (
            f"lpips: not measured: AlexNet's weights are not at hand; put {BACKBONE} of torchvision"
            f" into {backbone().parent}"
        )
    return ""


def lpips(x: Tensor, truth: Tensor) -> float:
    """The distance by AlexNet's features, version 0.1; 0 is best. Gray as three equal channels.

    Raises TooSmallError below 64 pixels a side.
    """
    if min(x.shape[-2:]) < SMALLEST:
        raise TooSmallError(f"LPIPS takes pictures of at least {SMALLEST} pixels a side")
    pages = [(2 * each - 1).float().expand(3, -1, -1)[None] for each in (x, truth)]
    with torch.inference_mode():
        return float(_net()(*pages))


@cache
def _net() -> Any:
    import lpips as package

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return package.LPIPS(net="alex", verbose=False).eval()
