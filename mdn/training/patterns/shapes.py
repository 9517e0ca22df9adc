"""What the patterns are made of: turned coordinates, periods and smooth fields."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def axes(size: int, turn: float) -> tuple[Tensor, Tensor]:
    """Coordinates in pixels, turned about the middle."""
    place = torch.arange(size, dtype=torch.float32) - size / 2
    y, x = torch.meshgrid(place, place, indexing="ij")
    angle = turn * math.pi
    if turn < 0.3:  # most things are upright
        angle = 0.0 if turn < 0.15 else math.pi / 2
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def period_of(dice: float) -> float:
    """2 to 24 pixels, short ones more often."""
    return 2 * 12**dice


def smooth_field(size: int, generator: torch.Generator) -> Tensor:
    """(size, size) smooth field of about -1..1."""
    coarse = 2 * torch.rand(1, 1, 5, 5, generator=generator) - 1
    return F.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)[0, 0]
