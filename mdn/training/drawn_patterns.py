"""What people draw and nature makes: pages, drawings, screens, pixel art, stars, leaves, grass."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

LETTERS = "etaoin shrdlu cmfwyp vbgkqj xz ETAOIN 0123456789 .,;:()"


def _plane(page: Image.Image, inverted: bool = False) -> Tensor:
    """A gray page as (size, size) float32 in 0..1."""
    plane = torch.from_numpy(np.asarray(page, np.float32) / 255)
    return 1 - plane if inverted else plane


def text(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """A page of words that mean nothing; white on black now and then."""
    page = Image.new("L", (size, size), 255)
    pen = ImageDraw.Draw(page)
    height = 7 + int(14 * dice[0])
    font = ImageFont.load_default(height)
    picks = torch.randint(len(LETTERS), (64, 64), generator=generator).tolist()
    for row, top in enumerate(range(2, size, round(1.25 * height) + int(6 * dice[1]))):
        pen.text((3, top), "".join(LETTERS[i] for i in picks[row % 64]), fill=0, font=font)
    return _plane(page, dice[2] < 0.25)


def drawing(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Thin strokes: lines, boxes and ellipses of one or two pixels, not smoothed."""
    page = Image.new("L", (size, size), 255)
    pen = ImageDraw.Draw(page)
    count = 3 + int(40 * dice[0] ** 2)
    corners = torch.randint(-size // 8, size + size // 8, (count, 4), generator=generator).tolist()
    for number, (x0, y0, x1, y1) in enumerate(corners):
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        width = 1 + (number % 5 == 0)
        if dice[1] < 0.4 or number % 3 == 0:
            pen.line((x0, y0, x1, y1), fill=0, width=width)
        elif dice[1] < 0.7:
            pen.ellipse(box, outline=0, width=width)
        else:
            pen.rectangle(box, outline=0, width=width)
    return _plane(page, dice[2] < 0.25)


def screen(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Windows, buttons and frames: flat boxes, some with a frame, over each other."""
    plane = torch.full((size, size), dice[0])
    for x, y, w, h, shade in torch.rand(6 + int(30 * dice[1]), 5, generator=generator).tolist():
        top, left = int(y * size), int(x * size)
        part = (
            slice(top, top + 2 + int(h * h * size)),
            slice(left, left + 2 + int(w * w * size)),
        )
        plane[part] = shade
        if shade < 0.5:
            plane[part[0], part[1].start] = 1 - shade
            plane[part[0].start, part[1]] = 1 - shade
    return plane


def sprites(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Pixel art: small figures of a few shades, alike left and right, enlarged 2 to 6 times."""
    side, shades = 8, 3 + int(5 * dice[0])
    shade = torch.rand(shades, generator=generator)
    half = torch.randint(shades, (4, side, side // 2), generator=generator)
    figures = shade[torch.cat([half, half.flip(2)], 2)]
    scale = 2 + int(5 * dice[1])
    count = math.ceil(size / (side * scale))
    picks = torch.randint(len(figures), (count, count), generator=generator)
    rows = figures[picks].permute(0, 2, 1, 3).reshape(count * side, count * side)
    return rows.repeat_interleave(scale, 0).repeat_interleave(scale, 1)[:size, :size]


def rings(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Circles about a point and rays from it, one pixel wide, not smoothed."""
    page = Image.new("L", (size, size), 255)
    pen = ImageDraw.Draw(page)
    x, y = (torch.rand(2, generator=generator) * size).tolist()
    for radius in range(3, 2 * size, 3 + int(10 * dice[0])):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=0)
    for turn in range(int(24 * dice[1])):
        angle = 2 * math.pi * turn / max(1, int(24 * dice[1]))
        pen.line((x, y, x + 2 * size * math.cos(angle), y + 2 * size * math.sin(angle)), fill=0)
    return _plane(page, dice[2] < 0.25)


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
    return _plane(page)


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
    distance, which = torch.stack([layer[0] for layer in near]).topk(2, 0, largest=False)
    shade = torch.stack([layer[1] for layer in near]).gather(0, which)[0]
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
    return _plane(page)
