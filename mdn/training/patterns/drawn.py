"""What people draw: pages of text, drawings, contours, screens, pixel art and rings."""

import math

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mdn.training.patterns.shapes import smooth_field

LETTERS = "etaoin shrdlu cmfwyp vbgkqj xz ETAOIN 0123456789 .,;:()"


def text(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """A page of words that mean nothing; white on black now and then."""
    page = Image.new("L", (size, size), 255)
    pen = ImageDraw.Draw(page)
    height = 7 + int(14 * dice[0])
    font = ImageFont.load_default(height)
    picks = torch.randint(len(LETTERS), (64, 64), generator=generator).tolist()
    for row, top in enumerate(range(2, size, round(1.25 * height) + int(6 * dice[1]))):
        pen.text((3, top), "".join(LETTERS[i] for i in picks[row % 64]), fill=0, font=font)
    plane = torch.from_numpy(np.asarray(page, np.float32) / 255)
    return 1 - plane if dice[2] < 0.25 else plane


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
    plane = torch.from_numpy(np.asarray(page, np.float32) / 255)
    return 1 - plane if dice[2] < 0.25 else plane


def contours(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Lines of equal height of a smooth hill, as on maps."""
    height = (4 + 12 * dice[0]) * smooth_field(size, generator)
    step = height.floor()
    edge = (step != step.roll(1, 0)) | (step != step.roll(1, 1))
    return torch.where(edge, torch.zeros(()), 0.6 + 0.4 * dice[1] * (step % 2))


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
    plane = torch.from_numpy(np.asarray(page, np.float32) / 255)
    return 1 - plane if dice[2] < 0.25 else plane
