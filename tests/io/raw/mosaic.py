"""Small raw files: DNGs with a Bayer mosaic, as a camera would write them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

BALANCE = (2.0, 1.0, 1.6)
# From XYZ to the camera, under daylight.
MATRIX = np.array([[0.6, -0.1, -0.05], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.6]])
RGGB = (0, 1, 1, 2)
XTRANS = tuple("RGB".index(colour) for colour in "GBGGRGRGRBGBGBGGRGGRGGBGBGBRGRGRGGBG")


def fractions(values: Any) -> list[int]:
    return [part for value in values for part in (round(float(value) * 10000), 10000)]


def mosaic(
    light: np.ndarray, pattern: tuple[int, ...] = RGGB, balance: tuple[float, ...] = BALANCE
) -> np.ndarray:
    """Balanced colours of the camera (H, W, 3), 0..1 -> what its sensor records (H, W), 0..1."""
    values = np.empty(light.shape[:2])
    side = math.isqrt(len(pattern))
    for place, colour in enumerate(pattern):
        here = np.s_[place // side :: side, place % side :: side]
        values[here] = light[(*here, colour)] / balance[colour]
    return values


def write_dng(
    path: Path,
    values: np.ndarray,
    pattern: tuple[int, ...] = RGGB,
    *,
    turn: int = 1,
    black: int = 64,
    white: int = 4095,
    balance: tuple[float, ...] = BALANCE,
    matrix: Any = MATRIX,
    more: Sequence[tuple[int, int, int, Any]] = (),
) -> Path:
    """A DNG of what a sensor has recorded (H, W), 0..1.

    Args:
        turn: its EXIF orientation.
        more: tags besides.
    """
    side = math.isqrt(len(pattern))
    tags = [
        (50706, 1, 4, (1, 4, 0, 0)), (50707, 1, 4, (1, 1, 0, 0)), (50708, 2, 0, "Test Camera"),
        (33421, 3, 2, (side, side)), (33422, 1, side * side, pattern), (50714, 3, 1, black),
        (50717, 3, 1, white), (50721, 10, 9, fractions(np.ravel(matrix))),
        (50728, 5, 3, fractions(1 / np.array(balance))), (50778, 3, 1, 21), (274, 3, 1, turn),
        (271, 2, 0, "Maker"), (272, 2, 0, "Model 1"), *more,
    ]  # fmt: skip
    stored = np.rint(values * (white - black) + black).clip(0, white).astype(np.uint16)
    tifffile.imwrite(
        path, stored, photometric="cfa", extratags=[(*tag, True) for tag in tags], metadata=None,
        software=False,
    )  # fmt: skip
    return path
