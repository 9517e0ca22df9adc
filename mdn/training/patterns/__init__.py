"""Clean pictures of dense regular texture, drawn by formula: what is most easily taken for noise.

Gratings, weaves, halftone dots, printing inks, dither, mosaics, ruled lines, drawings, contours,
screens, pages of text, pixel art, stars, rings, brushed metal, leaves, pebbles and blades of grass,
in random colours, scales and directions. A net learns from them that what repeats, or is only in
places, is no noise.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.synthesis.development import blur
from mdn.training.patterns.drawn import contours, drawing, rings, screen, sprites, text
from mdn.training.patterns.natural import blades, brushed, dead_leaves, pebbles, stars
from mdn.training.patterns.regular import (
    dither,
    error_dither,
    grating,
    halftone,
    inks,
    lines,
    mosaic,
    weave,
)  # fmt: skip

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
