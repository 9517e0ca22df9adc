"""Samples that a net must not see: what shows nothing, what lies far outside, what is exactly flat.

All of it is a function of a sample's surroundings, so that tiles agree with the whole picture.
Tiles are (B, C, H, W), encoded; NaN marks samples that show nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

RADII = (1, 2, 4, 8, 16)  # pixels, of the windows that fill a gap: the first that holds a sample
STEPS = (7, 19, 37)  # pixels that detail is taken from, beside a gap
# Of the percentiles 1 and 99, so that no 1 % of the samples sets what is usual: how far beyond them
# a sample may lie, in ranges between the two, and beside that in sigmas.
USUAL = 1.0, 99.0
RANGES, SIGMAS = 2.0, 30.0
FAR = 3.0  # usual ranges beyond which a sample is no part of what is measured
FEW = 16  # steps of whole numbers that a usual range has at the least
CONSTANTS = 4  # values that may stand for no data
SHARED = 1e-3  # share of the samples from which on a value is shared by many
FLAT = 9  # pixels a side: more than a block of JPEG has
STRIPS = ((3, 27), (27, 3))  # pixels, of windows as large as FLAT x FLAT: margins and bars
SHADED = 27, 10  # pixels, of windows of a drawn gradient, along it and across: more than JPEG has
SIDES = (FLAT, 17, 33)  # that are tried where most samples are equal anyway, as few photons are
CHANCE = 1e-6  # of a window of noise to be flat, below which a flat one is no noise
NEAR = 8  # pixels to each side that are looked at, to tell what is drawn
GAP = 3  # pixels, of what is undecided within what is drawn
LITTLE = 2.0  # sigmas that two samples of noise mostly differ by at most
FAINT = 2.0 / 255  # of the range: sigma below which less than that counts as little
MARK = 6.0  # sigmas by which a mark differs from all samples beside it that are not its equals
MARK_REACH = 16  # pixels that marks and what fills them look at, around a sample
NOISY = 0.4  # share of the samples around a mark that have others beside them as of noise
# Share of equal neighbours, and of lonely samples among those that differ: labels with ragged
# borders have up to .09, photons .15 to .2 of these.
DRAWN = 0.5, 0.1
POSTER = 0.3  # share of equal neighbours from which on a picture of few values has areas of them


@dataclass(frozen=True)
class Limits:
    """What counts as usual in a picture: encoded values of each channel, (C,) each."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def beyond(self, x: Tensor) -> Tensor:
        """Which samples of (B, C, H, W) lie outside, bool."""
        low, high = (torch.tensor(v, device=x.device)[:, None, None] for v in (self.low, self.high))
        return (x < low) | (x > high)


def usual_samples(values: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Which samples lie within FAR usual ranges of what most do: as `values`, bool.

    A value that many samples share, far from all others, is no data, however many they are.

    Args:
        values: float64, of any shape. measured: likewise, bool; which samples show anything.
    """
    usual = measured.copy()
    rest = values[usual]
    whole = bool(rest.size) and np.array_equal(rest, np.rint(rest))
    least = float(FEW) if whole else 0.0
    for _ in range(CONSTANTS):
        constant = _constant_end(rest, least)
        if constant is None:
            break
        usual &= values != constant
        rest = values[usual]
    low, high, spread = spread_of(rest)
    reach = FAR * max(spread, least)
    return np.asarray(usual & (values >= low - reach) & (values <= high + reach))


def _constant_end(values: np.ndarray, least: float) -> float | None:
    """The largest or smallest of values (n,), if many share it and it lies far from the rest."""
    if not values.size:
        return None
    for end, inward in ((values.max(), -1), (values.min(), 1)):
        rest = values[values != end]
        if not rest.size or rest.size > (1 - SHARED) * values.size:
            continue
        low, high, spread = spread_of(rest)
        gap = low - end if inward > 0 else end - high
        if gap > FAR * max(spread, least):
            return float(end)
    return None


def limits_of(sample: Tensor, sigma: float) -> Limits:
    """The limits of a sample (C, h, w), encoded, NaN where it shows nothing."""
    low, high = [], []
    for plane in sample:
        values = plane[plane.isfinite()].double().numpy()
        bottom, top, spread = spread_of(values[usual_samples(values, np.ones(len(values), bool))])
        reach = RANGES * spread + SIGMAS * sigma
        low.append(bottom - reach)
        high.append(top + reach)
    return Limits(tuple(low), tuple(high))


def spread_of(values: np.ndarray) -> tuple[float, float, float]:
    """What most values (n,) lie between, and how far these two are apart; 0 for one value alone.

    Where 98 % are equal, as few photons on black, it is all of them.
    """
    if not values.size:
        return 0.0, 0.0, 0.0
    low, high = (float(v) for v in np.percentile(values, USUAL))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return low, high, high - low


def filled(x: Tensor, gaps: Tensor) -> Tensor:
    """(B, C, H, W) with gaps, bool, filled by the mean of the samples around them.

    What has none within the largest window is filled by the mean of the tile's channel.
    """
    if not gaps.any():
        return x
    good = (~gaps).float()
    values = torch.where(gaps, 0.0, x)
    result, left = values.clone(), gaps
    for radius in RADII:
        share, total = _box(good, radius), _box(values, radius)
        usable = left & (share > 1e-6)
        result = torch.where(usable, total / share.clamp(min=1e-9), result)
        left = left & ~usable
        if not left.any():
            return result
    whole = good.sum((2, 3), keepdim=True)
    mean = values.sum((2, 3), keepdim=True) / whole.clamp(min=1)
    return torch.where(left, mean, result)


def continued(x: Tensor, gaps: Tensor) -> Tensor:
    """As `filled`, with the finest detail, noise and all, of what lies beside.

    A net that finds a place without noise beside a noisy one denoises less around it.
    """
    base = filled(x, gaps)
    if not gaps.any():
        return base
    height, width = x.shape[2:]
    detail = torch.where(gaps, 0.0, base - _box(base, 2))
    result, left = base, gaps
    for step in STEPS:
        for down, across in ((step, 0), (-step, 0), (0, step), (0, -step)):
            if max(abs(down), abs(across)) >= min(height, width):
                continue
            there = ~gaps.roll((down, across), (2, 3))
            usable = left & there & _inside(height, width, down, across).to(x.device)
            result = torch.where(usable, base + detail.roll((down, across), (2, 3)), result)
            left = left & ~usable
    return result


def _inside(height: int, width: int, down: int, across: int) -> Tensor:
    """(H, W) bool: which samples come from within the tile when it is moved."""
    rows, columns = torch.arange(height) - down, torch.arange(width) - across
    return ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))


def _closed(marks: Tensor) -> Tensor:
    """Marks (B, 1, H, W), bool, and what lies between them, GAP pixels wide at most."""
    grown = F.max_pool2d(marks.float(), 2 * GAP + 1, 1, GAP)
    return F.max_pool2d(1 - grown, 2 * GAP + 1, 1, GAP) == 0


def _box(x: Tensor, radius: int) -> Tensor:
    """Means over windows of 2 radius + 1 a side; beyond the edge are zeros."""
    size = 2 * radius + 1
    across = F.avg_pool2d(x, (1, size), 1, (0, radius))
    return F.avg_pool2d(across, (size, 1), 1, (radius, 0))


def flat_side(sample: Tensor) -> int:
    """How large a window of equal samples must be, to be a flat area and not chance: see FLAT.

    sample: (C, h, w), encoded. Returns pixels a side; 0 where there are no flat areas.
    """
    x = sample[None]
    if min(x.shape[2:]) < FLAT:
        return 0
    flat = flat_areas(x, FLAT)
    if not flat.any():
        return 0
    largest = SIDES[-1]
    rest = ~flat_areas(x, largest) if min(x.shape[2:]) >= largest else torch.ones_like(flat)
    pairs = rest[..., 1:] & rest[..., :-1]
    if int(pairs.sum()) < largest:
        return FLAT
    equal = (x[..., 1:] == x[..., :-1]).all(1, keepdim=True)
    share = float(equal[pairs].float().mean())
    if share <= 0:
        return FLAT
    # Of independent samples, two are equal with the square of the commonest value's frequency.
    needed = (np.log(CHANCE) / min(-1e-9, 0.5 * np.log(min(share, 1 - 1e-9)))) ** 0.5
    fitting = [side for side in SIDES if side >= needed]
    return fitting[0] if fitting else 0


def is_drawn(sample: Tensor) -> bool:
    """Whether a sample (C, h, w) is made of areas of one value, as labels and drawings are.

    There a sample that differs from its neighbours lies on a border, and is like some of them;
    under noise it is mostly alone.
    """
    if min(sample.shape[1:]) < 3:
        return False
    equal, lonely = equality(sample)
    return equal > DRAWN[0] and lonely <= DRAWN[1]


def equality(sample: Tensor) -> tuple[float, float]:
    """The share of neighbours in (C, h, w) that are equal; of the samples that differ from any of
    their four neighbours, the share that differs from all.
    """
    x = sample[None]
    across = (x[..., 1:] == x[..., :-1]).all(1)
    down = (x[..., 1:, :] == x[..., :-1, :]).all(1)
    alike = [across[:, 1:-1, :-1], across[:, 1:-1, 1:], down[:, :-1, 1:-1], down[:, 1:, 1:-1]]
    same = torch.stack(alike).sum(0)
    border, lonely = int((same < 4).sum()), int((same == 0).sum())
    equal = float(torch.cat([across.flatten(), down.flatten()]).float().mean())
    return equal, lonely / max(1, border)


def flat_areas(x: Tensor, side: int) -> Tensor:
    """Where tiles are exactly flat: (B, 1, H, W) bool, all that a flat window covers.

    Windows are of `side` pixels a side, or, of the least side, as long and narrow as STRIPS.
    NaN is equal to nothing.
    """
    none = torch.zeros_like(x[:, :1], dtype=torch.bool)
    across = ~(x[..., 1:] == x[..., :-1]).all(1, keepdim=True)
    down = ~(x[..., 1:, :] == x[..., :-1, :]).all(1, keepdim=True)
    if across.all() and down.all():
        return none
    shapes = [(side, side), *(STRIPS if side == FLAT else ())]
    for tall, wide in shapes:
        none |= _windows(across.float(), down.float(), tall, wide, x.shape)
    return none | shaded_areas(x) if side == FLAT else none


def shaded_areas(x: Tensor) -> Tensor:
    """Where tiles are equal along one axis and only rise, or only fall, along the other, as drawn
    gradients and colour bars do: (B, 1, H, W) bool, all that windows of SHADED cover.
    """
    result = torch.zeros_like(x[:, :1], dtype=torch.bool)
    tall, wide = SHADED
    for turned in (False, True):
        y = x.transpose(2, 3) if turned else x
        if y.shape[2] < tall or y.shape[3] < wide:
            continue
        across = ~(y[..., 1:] == y[..., :-1]).all(1, keepdim=True)
        if across.all() or not across.any():
            continue
        differs = _pool(across.float(), tall, wide - 1)
        if differs.all():
            continue
        step = y[..., 1:, :] - y[..., :-1, :]
        rises, falls = (_pool(signs.float(), tall - 1, wide) for signs in (step > 0, step < 0))
        uneven = (rises * falls).amax(1, keepdim=True)
        even = (torch.maximum(differs, uneven) == 0).float()
        covered = _pool(F.pad(even, (wide - 1, wide - 1, tall - 1, tall - 1)), tall, wide) > 0
        result |= covered.transpose(2, 3) if turned else covered
    return result


def _equal_neighbours(x: Tensor) -> Tensor:
    """How many of the four samples beside each of (B, C, H, W) are its equals: (B, 1, H, W)."""
    across = F.pad((x[..., 1:] == x[..., :-1]).all(1, keepdim=True).float(), (1, 1))
    down = F.pad((x[..., 1:, :] == x[..., :-1, :]).all(1, keepdim=True).float(), (0, 0, 1, 1))
    return across[..., 1:] + across[..., :-1] + down[..., 1:, :] + down[..., :-1, :]


def _windows(across: Tensor, down: Tensor, tall: int, wide: int, shape: Sequence[int]) -> Tensor:
    """(B, 1, H, W) bool: what windows of that size cover in which no two neighbours differ.

    across, down: (B, 1, H, W - 1) and (B, 1, H - 1, W), 1 where neighbours differ.
    """
    if shape[2] < tall or shape[3] < wide:
        return torch.zeros(shape[0], 1, *shape[2:], dtype=torch.bool, device=across.device)
    differs = torch.maximum(_pool(across, tall, wide - 1), _pool(down, tall - 1, wide))
    grown = F.pad((differs == 0).float(), (wide - 1, wide - 1, tall - 1, tall - 1))
    return _pool(grown, tall, wide) > 0


def _pool(x: Tensor, tall: int, wide: int) -> Tensor:
    """The largest of each window, one axis after the other."""
    return F.max_pool2d(F.max_pool2d(x, (tall, 1), 1), (1, wide), 1)


def kept_areas(x: Tensor, side: int, sigma: float) -> Tensor:
    """Where tiles are flat, and lettering and lines beside flat areas: (B, 1, H, W) bool.

    Under noise of deviation s two samples of one brightness differ by a normal number of deviation
    sqrt(2) s, and hardly any two are equal. In what is drawn most neighbours are equal, or differ
    by much. Samples in flat areas are not counted, or noise beside them would be taken for drawn.

    Args:
        side: of a flat window, see `flat_side`.
        sigma: of the noise, encoded; 0 if it is not known.
    """
    flat = flat_areas(x, side)
    if side != FLAT or not flat.any() or flat.all():
        return flat
    near = LITTLE * max(sigma, FAINT)
    outside = ~flat
    equal, little, large = (torch.zeros_like(flat, dtype=torch.float32) for _ in range(3))
    for axis in (2, 3):
        length = x.shape[axis] - 1
        first, second = (x.narrow(axis, start, length) for start in (0, 1))
        pair = outside.narrow(axis, 0, length) & outside.narrow(axis, 1, length)
        apart = (second - first).abs()
        kinds = apart == 0, (apart > 0) & (apart <= near), apart > near
        for count, kind in zip((equal, little, large), kinds, strict=True):
            count.narrow(axis, 0, length).add_((pair & kind).float().sum(1, keepdim=True))
    beside = _box(little, 2) <= _box(equal, 2) + _box(large, 2)
    equal, little, large = (_box(count, NEAR) for count in (equal, little, large))
    drawn = beside & (little < equal) & (little <= large)
    # The ground between letters, up to the noise beside them.
    ground = _box((flat | drawn).float(), NEAR // 2) > 0
    drawn |= ground & (_equal_neighbours(x) >= 3)
    enclosed = (equal + little + large == 0) & (_box(flat.float(), NEAR) > 0)
    return flat | (outside & (_closed(drawn | enclosed | flat)))


def marks(x: Tensor, sigma: float) -> Tensor:
    """Where lettering, lines and saturated or dead clusters lie in noise: (B, 1, H, W) bool.

    Their samples have equals among the eight beside them, and differ from the others there, if any,
    by more than noise does, whatever their value is; and most samples around do not. Those at their
    borders, of a smoothed edge, that stand out of what lies around, belong to them.

    Args:
        x: (B, C, H, W), encoded; NaN is like nothing.
        sigma: of the noise, encoded.
    """
    equal, near, unlike = (torch.zeros_like(x[:, :1]) for _ in range(3))
    far = MARK * max(sigma, FAINT)
    height, width = x.shape[2:]
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        if down >= height or abs(across) >= width:
            continue
        rows = slice(0, height - down), slice(down, height)
        columns = slice(max(0, -across), width - max(0, across))
        beside = slice(max(0, across), width - max(0, -across))
        apart = (x[..., rows[0], columns] - x[..., rows[1], beside]).abs().amax(1, keepdim=True)
        kinds = apart == 0, (apart > 0) & (apart <= far), apart > far
        for count, pairs in zip((equal, near, unlike), kinds, strict=True):
            count[..., rows[0], columns] += pairs
            count[..., rows[1], beside] += pairs
    alone = (equal > 0) & (near == 0) & (_box((near > 0).float(), NEAR) > NOISY)
    strokes = alone & (unlike > 0)
    if not strokes.any():
        return strokes
    for _ in range(NEAR):  # what they enclose; noise that was cut off may be equal as well
        strokes = alone & (F.max_pool2d(strokes.float(), 3, 1, 1) > 0)
    edges = (F.max_pool2d(strokes.float(), 3, 1, 1) > 0) & ~strokes
    around = filled(x, (strokes | edges | x.isnan().any(1, keepdim=True)).expand_as(x))
    return strokes | (edges & ((x - around).abs() > far).any(1, keepdim=True))


REACH = NEAR + SIDES[-1] + 2 * GAP  # pixels that all of this looks at, around a sample
