"""Noise by place in 2 x 2 pixels: a raw mosaic's, whose red cells are noisier than its green ones.

A picture's own detail is the same in all four places on average, so that what one of them has more
than the quietest is noise.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

CLEAR = 2.0  # least excess that counts, in multiples of what the quietest place shows..
PART = 0.2  # ..and of the largest excess of all places
FAINTEST = (2.0 / 255) ** 2  # variance
LED = 4.0  # weight of a guess that another channel leads
EVEN = 1e-4  # squared change below which directions are alike
SOME = 1e-9  # weight of a guess that there is
# Squared difference of the two guesses over that of the samples from them: of 330 mosaics on
# training pictures all but eight lie below .25, of 171 pictures from cameras none below .3.
AGREE = 0.25
PARTED = 3.0  # squared difference of the two guesses over the error of both together
QUANTILE = 0.7  # of the deviations: more than half of all samples may be cut off at black or white
NORMAL = 1.0364  # that quantile of the size of a normal number
BLOCK = 16  # pixels a side of a place that is asked whether it is a mosaic
PIECE = 16  # blocks a side of a window
CHECKED = 0.005  # half the contrast of green beside the others, in the nominal range
ALIKE = 0.75  # mean sign of the blocks
# The four orders of a Bayer mosaic, (3, 2, 2): red in a corner, blue opposite, green in the others.
_RED = torch.eye(4).bool().unflatten(1, (2, 2))
BAYER = [torch.stack([r, ~(r | r.flip(0, 1)), r.flip(0, 1)]) for r in _RED]


def excess(sample: Tensor) -> Tensor:
    """Variance of the noise in each place above the quietest: (C, 2, 2); 0 where it is not clear.

    Where the places are those of one Bayer mosaic, its other places are noisy, too, at least
    FAINTEST: in a bright sky, noise that is cut off at white hardly shows.

    sample: (C, H, W), nominal range 0..1, from an even row and column on.
    """
    if min(sample.shape[1:]) < 16:
        return torch.zeros(len(sample), 2, 2)
    height, width = (side // 2 * 2 for side in sample.shape[1:])
    x = sample[:, :height, :width]
    beside = x[:, 1:-1, :-2] + x[:, 1:-1, 2:] + x[:, :-2, 1:-1] + x[:, 2:, 1:-1]
    rest = x[:, 1:-1, 1:-1] - beside / 4  # its first is in place (1, 1)
    parts = torch.stack(
        [rest[:, (i + 1) % 2 :: 2, (j + 1) % 2 :: 2].flatten(1) for i in (0, 1) for j in (0, 1)], 1
    )
    # Noise that is cut off at white or black has a mean, too.
    apart = (parts - parts.median(2, keepdim=True)[0]).abs()
    shown = (apart.kthvalue(round(QUANTILE * apart.shape[2]), 2)[0] / NORMAL).square()
    # Each place shows its own noise, and a sixteenth of each of its four neighbours'.
    mixing = torch.tensor([[8, 1, 1, 0], [1, 8, 0, 1], [1, 0, 8, 1], [0, 1, 1, 8]]) / 8
    own = torch.linalg.solve(mixing, shown.T).T
    more = own - own.min(1, keepdim=True)[0]
    least = (CLEAR * shown.min(1, keepdim=True)[0]).clamp(min=FAINTEST)
    least = least.clamp(min=PART * float(more.max()))
    found = torch.where(more > least, more, 0.0).unflatten(1, (2, 2))
    if len(found) == 3 and (found[::2] > 0).any():  # green alone is that of two mosaics
        for mosaic in BAYER:
            if not (found[~mosaic] > 0).any():
                found[mosaic] = found[mosaic].clamp(min=FAINTEST)
    return found


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
    return float(blocks.abs().median()) > CHECKED and float(signs.median()) > ALIKE


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
    marked, sides = _sides(x, places, origins)
    total = sum(weight * guess for guess, weight in sides)
    weights = sum(weight for _, weight in sides)
    return torch.where(marked & (weights > SOME), total / weights, x)


def fill_error(x: Tensor, places: Tensor) -> float | None:
    """Mean square error of `filled` over all samples, about; None where these are no noisy places.

    The guess from beside and that from above do not know the sample's own noise, so that it
    differs more from them than they do from one another. A camera's interpolation has put some of
    that noise into the samples around.

    Args:
        x: (C, H, W), from an even row and column on.
        places: as `filled`.
    """
    marked, ((beside, one), (above, two)) = _sides(x[None], places, [(0, 0)])
    both = marked & (one > SOME) & (two > SOME)
    if not both.any():
        return None
    guesses, middle = (beside - above).square(), (one * beside + two * above) / (one + two)
    if guesses[both].median() > AGREE * (x - middle).square()[both].median():
        return None
    return float(guesses[both].mean() * marked.float().mean()) / PARTED


def _sides(
    x: Tensor, places: Tensor, origins: Sequence[tuple[int, int]]
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Where samples are marked, and guesses from beside and from above, with weights; as x."""
    marked = spread(places.to(x.device), origins, x.shape[2:]).expand_as(x)
    wide = F.pad(x, (1, 1, 1, 1), mode="reflect")
    doubted = F.pad(marked.float(), (1, 1, 1, 1), mode="reflect") > 0
    rows, columns = slice(1, -1), slice(1, -1)
    found = []
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
        found.append((total / weights, weights))
    return marked, found


def spread(places: Tensor, origins: Sequence[tuple[int, int]], size: Sequence[int]) -> Tensor:
    """Marks of places (C, 2, 2), bool, over tiles that begin at these origins: (B, C, H, W)."""
    found = []
    for top, left in origins:
        rows, columns = (
            (start + torch.arange(n)) % 2 for start, n in ((top, size[0]), (left, size[1]))
        )
        found.append(places[:, rows[:, None], columns])
    return torch.stack(found)
