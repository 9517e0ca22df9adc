"""The numbers of a comparison: what changed, how much noise is left, how near to the truth."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mdn import metrics
from mdn.commands import estimate
from mdn.compare.pictures import Picture, Range

TO_TRUTH = ("psnr", "ssim")


def measure(pictures: Sequence[Picture], span: Range) -> dict[str, Any]:
    """All numbers, JSON-able.

    Values are on the 0-255 scale of what is shown. The noise is an estimate from each picture
    alone. Scores compare with the truth, all pixels, without rounding.

    Args:
        pictures: before, after and, where it is known, the truth.
        span: the values shown as black and white.
    """
    values = [span.encode(picture) for picture in pictures]
    found: dict[str, Any] = {
        picture.role: _alone(picture, shown)
        for picture, shown in zip(pictures, values, strict=True)
    }
    change = 255 * (values[1] - values[0])
    found["change"] = {
        "rms": round(float(np.sqrt(np.mean(change**2))), 3),
        "largest": round(float(np.abs(change).max()), 2),
        "pixels": round(float(np.any(change != 0, -1).mean()), 6),
        "mean": [round(float(each), 3) for each in change.mean((0, 1))],
    }
    if len(pictures) > 2:
        for picture, shown in zip(pictures[:2], values, strict=False):
            found[picture.role] |= _scores(picture, shown, pictures[2], values[2])
    return found


def _alone(picture: Picture, shown: np.ndarray) -> dict[str, Any]:
    noise, _ = estimate.of_page(shown, picture.name)
    height, width = shown.shape[:2]
    return {
        "file": picture.name,
        "width": width,
        "height": height,
        "dtype": str(picture.stored.dtype),
        "plane": picture.plane[0] if picture.plane[1] > 1 else None,
        "noise": round(255 * noise.sigma, 2),
        "brightness": round(255 * float(shown.mean()), 2),
    }


def _scores(
    picture: Picture, shown: np.ndarray, truth: Picture, wanted: np.ndarray
) -> dict[str, float | None]:
    protocol = metrics.PROTOCOLS["float"]
    scores = metrics.score(shown, wanted, TO_TRUTH, protocol)
    if picture.linear:
        light = [each.stored.astype(np.float32) for each in (picture, truth)]
        scores |= metrics.score(light[0], light[1], ("relmse",), protocol, linear=True)
    return {name: None if x is None else round(x, 4) for name, x in scores.items()}
