"""Samples by place in 2 x 2 pixels, as a raw mosaic has them, and their interpolation."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LED = 4.0  # weight of a guess that another channel leads
EVEN = 1e-4  # squared change below which directions are alike
SOME = 1e-9  # weight of a guess that there is
BLOCK = 16  # pixels a side of a place that is asked whether it is a mosaic
PIECE = 16  # blocks a side of a window
CHECKED = 0.005  # half the contrast of green beside the others, in the nominal range
# The same as a share of the brightness above black: filters of a camera part colours by far more,
# and what is left of them in a wide-field camera's gray by less.
PARTED = 0.1
ALIKE = 0.75  # mean sign of the blocks


def is_mosaic(gray: Tensor) -> bool:
    """Whether a gray picture (H, W), nominal range 0..1, is itself a raw Bayer mosaic.

    Green lies on one diagonal of 2 x 2 pixels, and is brighter (or darker) than the other colours
    nearly everywhere. Windows of an even number of pixels may have been joined.
    """
    height, width = (side // BLOCK * BLOCK for side in gray.shape)
    x = gray[:height, :width]
    checks = x[::2, ::2] + x[1::2, 1::2] - x[::2, 1::2] - x[1::2, ::2]
    if min(checks.shape) < BLOCK:
        return False
    blocks = F.avg_pool2d(checks[None], BLOCK // 2)[0] / 4
    pieces = [piece for rows in blocks.split(PIECE) for piece in rows.split(PIECE, 1)]
    signs = torch.stack([piece.sign().mean().abs() for piece in pieces])
    contrast, light = float(blocks.abs().median()), float(x.median() - x.min())
    parted = contrast > max(CHECKED, PARTED * light)
    return parted and float(signs.median()) > ALIKE


def fillable(places: Tensor) -> bool:
    """Whether each marked place of (C, 2, 2) has neighbours on two sides that are not marked."""
    beside, above = places.flip(2), places.flip(1)
    return not bool((places & beside & above).any())


def filled(x: Tensor, places: Tensor, origins: Sequence[tuple[int, int]]) -> Tensor:
    """Samples in marked places, interpolated from those beside and above them.

    The difference of two channels changes less from pixel to pixel than either of them (as in
    demosaicing: Hamilton, Adams, US patent 5629734, 1997). So where another channel is not marked,
    the difference to it is interpolated. The direction that changes less weighs more.

    Args:
        x: (B, C, H, W), tiles that begin at these origins.
        places: (C, 2, 2) bool; see `fillable`.
    """
    marked, guesses = sides(x, places, origins)
    total = sum(weight * guess for guess, weight in guesses)
    weights = sum(weight for _, weight in guesses)
    return torch.where(marked & (weights > SOME), total / weights, x)


def sides(
    x: Tensor, places: Tensor, origins: Sequence[tuple[int, int]]
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Where samples are marked, and guesses from beside and from above, with weights; as x."""
    marked = spread(places.to(x.device), origins, x.shape[2:]).expand_as(x)
    wide = F.pad(x, (1, 1, 1, 1), mode="reflect")
    doubted = F.pad(marked.float(), (1, 1, 1, 1), mode="reflect") > 0
    rows, columns = slice(1, -1), slice(1, -1)
    parts = []
    for one, two in (
        ((rows, slice(None, -2)), (rows, slice(2, None))),
        ((slice(None, -2), columns), (slice(2, None), columns)),
    ):
        total, weights = torch.zeros_like(x), torch.full_like(x, SOME / 10)
        for turn in range(x.shape[1]):  # 0: the channel by itself; else led by another
            lead, unsure = wide.roll(turn, 1), doubted.roll(turn, 1)
            if turn == 0:
                lead, unsure = torch.zeros_like(wide), torch.zeros_like(doubted)
            more, bad = wide - lead, doubted | unsure
            a, b = more[..., one[0], one[1]], more[..., two[0], two[1]]
            unusable = (
                bad[..., one[0], one[1]] | bad[..., two[0], two[1]] | unsure[..., rows, columns]
            )
            trust = torch.where(unusable, 0.0, (LED if turn else 1.0) / ((a - b).square() + EVEN))
            total += trust * (lead[..., rows, columns] + (a + b) / 2)
            weights += trust
        parts.append((total / weights, weights))
    return marked, parts


def spread(places: Tensor, origins: Sequence[tuple[int, int]], size: Sequence[int]) -> Tensor:
    """Marks of places (C, 2, 2), bool, over tiles that begin at these origins: (B, C, H, W)."""
    parts = []
    for top, left in origins:
        rows, columns = (
            (start + torch.arange(n)) % 2 for start, n in ((top, size[0]), (left, size[1]))
        )
        parts.append(places[:, rows[:, None], columns])
    return torch.stack(parts)
