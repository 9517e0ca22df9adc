"""What nature makes, and time: stars, brushed metal, leaves, pebbles and blades of grass."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor


def stars(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Points of one pixel, of every brightness, on an even sky."""
    share = 0.001 * 20 ** dice[0]
    light = torch.rand(size, size, generator=generator)
    there = torch.rand(size, size, generator=generator) < share
    return torch.where(there, light, 0.1 * dice[1])


def brushed(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Streaks of one direction, as of brushed metal, wood or rain."""
    length = 8 + int(size * dice[0])
    streaks = torch.randn(1, 1, size, size + length - 1, generator=generator)
    long = F.avg_pool2d(streaks, (1, length), 1)[0, 0] * length**0.5
    plane = 0.5 + (0.05 + 0.2 * dice[1]) * long
    return plane.T if dice[2] < 0.5 else plane


def dead_leaves(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Discs of one shade each over one another, most of them small (Lee, Mumford, Huang 2001)."""
    page = Image.new("L", (size, size), 0)
    pen = ImageDraw.Draw(page)
    least = 0.7 + 2 * dice[0]
    for x, y, u, shade in torch.rand(size * size // 8, 4, generator=generator).tolist():
        radius = min(size / 4, least / (1 - u + 1e-6) ** 0.5)
        box = (x * size - radius, y * size - radius, x * size + radius, y * size + radius)
        pen.ellipse(box, fill=int(255 * shade))
    return torch.from_numpy(np.asarray(page, np.float32) / 255)


def pebbles(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Round grains of 2 to 14 pixels side by side, as of sand, gravel or cobbles (Worley 1996)."""
    side = 1.8 * 8 ** dice[0]
    count = math.ceil(size / side) + 2
    grains = torch.rand(3, count, count, generator=generator)  # row, column within a cell; shade
    place = torch.arange(size, dtype=torch.float32) / side + 1
    y, x = torch.meshgrid(place, place, indexing="ij")
    row, column = y.long(), x.long()
    near = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            at = row + down, column + right
            away = (grains[0][at] + at[0] - y) ** 2 + (grains[1][at] + at[1] - x) ** 2
            near.append(torch.stack([away.sqrt(), grains[2][at]]))
    distance, which = torch.stack([each[0] for each in near]).topk(2, 0, largest=False)
    shade = torch.stack([each[1] for each in near]).gather(0, which)[0]
    edge = ((distance[1] - distance[0]) / (0.1 + 0.6 * dice[1])).clamp(0, 1)
    return edge * (1 - dice[2] * (1 - shade))


def blades(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Short strokes of nearly one direction over each other, as of grass, fur or straw."""
    page = Image.new("L", (size, size), 0)
    pen = ImageDraw.Draw(page)
    turn, spread, length = math.pi * dice[0], 0.1 + dice[1], 4 + 20 * dice[2]
    strokes = torch.rand(size * size // 8, 4, generator=generator).tolist()
    for x, y, lean, shade in strokes:
        angle = turn + spread * (lean - 0.5)
        start = x * size - length / 2 * math.cos(angle), y * size - length / 2 * math.sin(angle)
        end = start[0] + length * math.cos(angle), start[1] + length * math.sin(angle)
        pen.line((*start, *end), fill=int(255 * shade))
    return torch.from_numpy(np.asarray(page, np.float32) / 255)
