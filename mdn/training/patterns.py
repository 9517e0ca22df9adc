"""Clean pictures of dense regular texture, drawn by formula: what is most easily taken for noise.

Gratings, weaves, halftone dots, printing inks, dither, mosaics, ruled lines, drawings, contours,
screens, pages of text, pixel art, stars, rings, brushed metal, leaves, pebbles and blades of grass,
in random colours, scales and directions. A net learns from them that what repeats, or is only in
places, is no noise.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mdn.noise.synthesis.camera.develop import blur

COLOURED = 0.2  # share of the patterns that differ from colour to colour
LETTERS = "etaoin shrdlu cmfwyp vbgkqj xz ETAOIN 0123456789 .,;:()"


def draw_pattern(size: int, generator: torch.Generator) -> Tensor:
    """One picture (3, size, size), float32 in 0..1."""
    dice = torch.rand(8, generator=generator).tolist()
    kind = KINDS[int(dice[0] * len(KINDS))]
    plane = kind(size, dice[1:4], generator)
    if dice[7] < COLOURED and plane.ndim == 2:  # each colour at an angle of its own
        turned = torch.rand(2, 3, generator=generator).tolist()
        others = [kind(size, [own[0], *dice[2:4]], generator) for own in turned]
        plane = torch.stack([plane, *others])
    dark, light = torch.rand(2, 3, 1, 1, generator=generator)
    if dice[4] < 0.4:  # black or gray on white, as pages are
        dark, light = dark.mean().expand(3, 1, 1) * 0.4, torch.ones(3, 1, 1)
    picture = dark + (light - dark) * plane.clamp(0, 1)
    if dice[5] < 0.5:  # as a lens sees it: softer, and lit unevenly
        picture = blur(picture[None], 0.4 + 0.8 * dice[6])[0]
        shade = F.interpolate(
            torch.rand(1, 1, 3, 3, generator=generator), (size, size), mode="bicubic"
        )[0]
        picture = picture * (0.6 + 0.4 * shade.clamp(0, 1))
    return picture.clamp(0, 1)


def _axes(size: int, turn: float) -> tuple[Tensor, Tensor]:
    """Coordinates in pixels, turned about the middle."""
    place = torch.arange(size, dtype=torch.float32) - size / 2
    y, x = torch.meshgrid(place, place, indexing="ij")
    angle = turn * math.pi
    if turn < 0.3:  # most things are upright
        angle = 0.0 if turn < 0.15 else math.pi / 2
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def _period(dice: float) -> float:
    """2 to 24 pixels, short ones more often."""
    return 2 * 12**dice


def grating(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Sine or square waves."""
    u, _ = _axes(size, dice[0])
    wave = torch.sin(2 * math.pi * u / _period(dice[1]))
    return 0.5 + 0.5 * (wave if dice[2] < 0.5 else torch.tanh(6 * wave))


def weave(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Threads over and under each other."""
    u, v = _axes(size, dice[0])
    period = _period(0.2 + 0.8 * dice[1])
    across, along = torch.sin(math.pi * u / period), torch.sin(math.pi * v / period)
    over = torch.sin(math.pi * (u / period).floor() + math.pi * (v / period).floor() + 0.5) > 0
    fine = 0.15 * torch.sin(2 * math.pi * (u + v) / (2 + 2 * dice[2]))
    return torch.where(over, across.abs(), along.abs()) * 0.8 + 0.1 + fine


def halftone(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Dots whose size follows a smooth picture, as in print."""
    u, v = _axes(size, dice[0])
    period = 3 + 7 * dice[1]
    screen = torch.cos(2 * math.pi * u / period) + torch.cos(2 * math.pi * v / period)
    return torch.sigmoid((4 if dice[2] < 0.5 else 12) * (screen / 2 - _smooth(size, generator)))


def inks(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Halftone dots of cyan, magenta and yellow over each other, (3, size, size)."""
    page = torch.ones(3, size, size)
    period, tone = 3 + 7 * dice[1], _smooth(size, generator)
    for channel, (turn, more, colour) in enumerate(torch.rand(3, 3, generator=generator).tolist()):
        u, v = _axes(size, turn)
        screen = torch.cos(2 * math.pi * u / period) + torch.cos(2 * math.pi * v / period)
        dots = torch.sigmoid((8 if dice[2] < 0.3 else 40) * (tone + more - 0.5 - screen / 2))
        passed = torch.full((3, 1, 1), 1 - 0.3 * colour)  # of the light: an ink stops one colour
        passed[channel] = 0.2 * colour
        page = page * (1 - dots * (1 - passed))
    return page


def dither(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Ordered dither of a smooth picture, 1 or 2 pixels a cell."""
    bayer = torch.tensor(
        [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], dtype=torch.float32
    )
    cell = 1 + int(2 * dice[0])
    screen = bayer.repeat_interleave(cell, 0).repeat_interleave(cell, 1)
    count = math.ceil(size / len(screen))
    screen = screen.repeat(count, count)[:size, :size] / 16
    return (_smooth(size, generator) / 2 + 0.5 > screen).float()


def mosaic(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Flat cells of random brightness."""
    side = 2 + int(10 * dice[0])
    count = math.ceil(size / side)
    cells = torch.rand(count, count, generator=generator)
    return cells.repeat_interleave(side, 0).repeat_interleave(side, 1)[:size, :size]


def lines(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Ruled lines, or circles about a point."""
    u, v = _axes(size, dice[0])
    if dice[2] < 0.4:
        u = torch.sqrt((u - 20 * dice[1]) ** 2 + v**2)
    period = 2.5 + 14 * dice[1]
    return ((u % period) < 1 + 1.5 * dice[2]).float()


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
    height = (4 + 12 * dice[0]) * _smooth(size, generator)
    step = height.floor()
    edge = (step != step.roll(1, 0)) | (step != step.roll(1, 1))
    return torch.where(edge, torch.zeros(()), 0.6 + 0.4 * dice[1] * (step % 2))


def error_dither(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Black and white dots by error diffusion (Floyd and Steinberg, 1976) of a smooth picture."""
    smooth = (0.5 + 0.5 * _smooth(size, generator)).clamp(0, 1)
    cell = 1 + int(1.4 * dice[0])
    gray = Image.fromarray((255 * smooth[::cell, ::cell]).byte().numpy())
    dots = torch.from_numpy(np.asarray(gray.convert("1"), np.float32))
    return dots.repeat_interleave(cell, 0).repeat_interleave(cell, 1)[:size, :size]


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


def stars(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Points of one pixel, of every brightness, on an even sky."""
    share = 0.001 * 20 ** dice[0]
    light = torch.rand(size, size, generator=generator)
    there = torch.rand(size, size, generator=generator) < share
    return torch.where(there, light, 0.1 * dice[1])


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


KINDS: tuple[Callable[[int, list[float], torch.Generator], Tensor], ...] = (
    grating, weave, halftone, dither, mosaic, lines, text, weave, drawing, contours, error_dither,
    screen, text, drawing, sprites, stars, rings, brushed, dead_leaves,
    inks, pebbles, blades,
)  # fmt: skip


def _smooth(size: int, generator: torch.Generator) -> Tensor:
    """(size, size) smooth field of about -1..1."""
    coarse = 2 * torch.rand(1, 1, 5, 5, generator=generator) - 1
    return F.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)[0, 0]
