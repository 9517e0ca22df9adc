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
from PIL import Image
from torch import Tensor

from mdn.noise.synthesis.development import blur
from mdn.training.drawn_patterns import (
    blades,
    brushed,
    dead_leaves,
    drawing,
    pebbles,
    rings,
    screen,
    sprites,
    stars,
    text,
)  # fmt: skip


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


# --- what repeats -------------------------------------------------------------------------------


def grating(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Sine or square waves."""
    u, _ = axes(size, dice[0])
    wave = torch.sin(2 * math.pi * u / period_of(dice[1]))
    return 0.5 + 0.5 * (wave if dice[2] < 0.5 else torch.tanh(6 * wave))


def weave(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Threads over and under each other."""
    u, v = axes(size, dice[0])
    period = period_of(0.2 + 0.8 * dice[1])
    across, along = torch.sin(math.pi * u / period), torch.sin(math.pi * v / period)
    over = torch.sin(math.pi * (u / period).floor() + math.pi * (v / period).floor() + 0.5) > 0
    fine = 0.15 * torch.sin(2 * math.pi * (u + v) / (2 + 2 * dice[2]))
    return torch.where(over, across.abs(), along.abs()) * 0.8 + 0.1 + fine


def halftone(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Dots whose size follows a smooth picture, as in print."""
    u, v = axes(size, dice[0])
    period = 3 + 7 * dice[1]
    screen = torch.cos(2 * math.pi * u / period) + torch.cos(2 * math.pi * v / period)
    return torch.sigmoid(
        (4 if dice[2] < 0.5 else 12) * (screen / 2 - smooth_field(size, generator))
    )


def inks(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Halftone dots of cyan, magenta and yellow over each other, (3, size, size)."""
    page = torch.ones(3, size, size)
    period, tone = 3 + 7 * dice[1], smooth_field(size, generator)
    for channel, (turn, more, colour) in enumerate(torch.rand(3, 3, generator=generator).tolist()):
        u, v = axes(size, turn)
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
    return (smooth_field(size, generator) / 2 + 0.5 > screen).float()


def error_dither(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Black and white dots by error diffusion (Floyd and Steinberg, 1976) of a smooth picture."""
    smooth = (0.5 + 0.5 * smooth_field(size, generator)).clamp(0, 1)
    cell = 1 + int(1.4 * dice[0])
    gray = Image.fromarray((255 * smooth[::cell, ::cell]).byte().numpy())
    dots = torch.from_numpy(np.asarray(gray.convert("1"), np.float32))
    return dots.repeat_interleave(cell, 0).repeat_interleave(cell, 1)[:size, :size]


def mosaic(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Flat cells of random brightness."""
    side = 2 + int(10 * dice[0])
    count = math.ceil(size / side)
    cells = torch.rand(count, count, generator=generator)
    return cells.repeat_interleave(side, 0).repeat_interleave(side, 1)[:size, :size]


def lines(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Ruled lines, or circles about a point."""
    u, v = axes(size, dice[0])
    if dice[2] < 0.4:
        u = torch.sqrt((u - 20 * dice[1]) ** 2 + v**2)
    period = 2.5 + 14 * dice[1]
    return ((u % period) < 1 + 1.5 * dice[2]).float()


def contours(size: int, dice: list[float], generator: torch.Generator) -> Tensor:
    """Lines of equal height of a smooth hill, as on maps."""
    height = (4 + 12 * dice[0]) * smooth_field(size, generator)
    step = height.floor()
    edge = (step != step.roll(1, 0)) | (step != step.roll(1, 1))
    return torch.where(edge, torch.zeros(()), 0.6 + 0.4 * dice[1] * (step % 2))


# --- one of all of them ------------------------------------------------------------------------

COLOURED = 0.2  # share of the patterns that differ from colour to colour
KINDS: tuple[Callable[[int, list[float], torch.Generator], Tensor], ...] = (
    grating, weave, halftone, dither, mosaic, lines, text, weave, drawing, contours, error_dither,
    screen, text, drawing, sprites, stars, rings, brushed, dead_leaves,
    inks, pebbles, blades,
)  # fmt: skip


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
