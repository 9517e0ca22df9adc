"""Fireflies: a few pixels that are far too bright for where they are, found and rebuilt.

A path tracer draws a rare path now and then that carries a hundred times the light of those around
it. It says nothing of the place where it landed, but a net spreads it to a glow. What is bright
because something bright is there differs: it is larger, or softened by the renderer's pixel
filter, or there are many such pixels around, or the guides show a thing of its own there.
"""

from dataclasses import dataclass

import numpy as np

from mdn.pipeline import windows
from mdn.pipeline.windows import filled

TIMES = 50.0  # times the light around it, from which on a pixel is far too bright
ISLAND = 4  # pixels that touch each other: two or four rays that met are a firefly, more are a lamp
RARE = 25.0  # times the mean around it: as bright pixels that are not rare make the mean
NEAR, AROUND, WIDE = 2, 3, 10  # radii of windows: 5 x 5, 7 x 7 and 21 x 21 pixels
HIGH = 0.2  # share of a window's pixels that are brighter than what counts as its light
PASSES = 4  # a firefly may hide another
MANY = 1 / 2000  # share of a picture from which on they come often enough to touch by chance
APART = 0.1  # difference of guides, about 0..1, from which they show another thing
CLEARLY = 1.5  # times what else is there differs from most
ALIKE = 6  # pixels of 7 x 7 that such a thing may have
SUPPORT = 0.25  # of a pixel's light, from which on a neighbour is of one thing with it

_STEPS = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]


@dataclass(frozen=True)
class Rule:
    """When a pixel is one: TIMES as bright as around it, with exceptions; or by word of the user.

    `exceptions`: what the guides show, and what stands in the dark, is left.
    """

    times: float = TIMES
    exceptions: bool = True


def mask(pixels: np.ndarray, rule: Rule, guides: np.ndarray | None = None) -> np.ndarray:
    """(H, W) bool: the fireflies of a layer.

    A pixel is one if it is brighter than `rule.times` both of these: what a fifth of the 7 x 7
    pixels around it exceeds, and the fifth largest in 5 x 5; and than 25 times the mean of 21 x 21,
    its own 3 x 3 aside: else such pixels are not rare there, and hold the light. And with what
    touches it and has a quarter of its light, and what so touches that, it makes up no more than 4
    pixels; 8, and the ninth largest, in a picture so full of them that two often touch. At borders,
    windows end: a picture that goes on by reflection would show each firefly twice.

    Args:
        pixels: (H, W, C), finite, of any sign.
        guides: (H, W, D) float32, each about 0..1, or None.
    """
    light = np.abs(pixels.astype(np.float64)).mean(-1)
    result = np.zeros(light.shape, bool)
    for most in (ISLAND, 2 * ISLAND):
        for _ in range(PASSES):
            bright = _bright(light, rule, guides, most) & ~result
            fresh = bright & _islands(_grown(bright, light, most), most)
            if not fresh.any():
                break
            result |= fresh
            light = _rebuilt(light[..., None], result)[..., 0]
        if result.mean() < MANY:
            break
    return result


def rebuilt(pixels: np.ndarray, fireflies: np.ndarray) -> np.ndarray:
    """(H, W, C) float32 with the mean of their neighbours in place of fireflies."""
    return _rebuilt(pixels, fireflies).astype(np.float32)


def _rebuilt(pixels: np.ndarray, bad: np.ndarray) -> np.ndarray:
    good = np.broadcast_to(~bad[..., None], pixels.shape)
    return filled(pixels, good)


def _bright(light: np.ndarray, rule: Rule, guides: np.ndarray | None, most: int) -> np.ndarray:
    """(H, W) bool: far brighter than each measure of the light around."""
    result = np.zeros(light.shape, bool)
    wide = _mean_around(light)
    rows, columns = np.nonzero((light > min(rule.times, RARE) * wide) & (light > 0))
    if not rows.size:
        return result
    values = light[rows, columns]
    patch = _patches(light[..., None], rows, columns, AROUND, -1.0)[..., 0]
    high = _largest(patch, np.maximum(most + 1, HIGH * (patch >= 0).sum(1)).astype(int))
    near = _patches(light[..., None], rows, columns, NEAR, -1.0)[..., 0]
    ranked = _largest(near, np.full(rows.size, most + 1))
    level = np.maximum(high, ranked)
    found = (values > rule.times * level) & (np.maximum(level, wide[rows, columns]) > 0)
    if rule.exceptions:
        found &= high > 0
        if guides is not None and found.any():
            found[found] = ~_shown(guides, rows[found], columns[found])
    result[rows[found], columns[found]] = True
    return result


def _mean_around(light: np.ndarray) -> np.ndarray:
    """The mean of 21 x 21 pixels without the 3 x 3 in their middle."""
    planes = windows.planes(light[..., None])
    whole, own = (_area(light.shape, radius) for radius in (WIDE, 1))
    total = windows.mean(planes, WIDE)[0].numpy() * whole
    middle = windows.mean(planes, 1)[0].numpy() * own
    return np.maximum(total - middle, 0) / np.maximum(whole - own, 1)


def _area(shape: tuple[int, ...], radius: int) -> np.ndarray:
    """(H, W): how many pixels a window has around each pixel."""
    sides = []
    for side in shape:
        place = np.arange(side)
        sides.append(np.minimum(place + radius, side - 1) - np.maximum(place - radius, 0) + 1)
    return sides[0][:, None] * sides[1][None]


def _patches(
    planes: np.ndarray, rows: np.ndarray, columns: np.ndarray, radius: int, beyond: float
) -> np.ndarray:
    """(N, window, C): what is around each place; `beyond` outside the picture."""
    grown = np.pad(planes, ((radius, radius), (radius, radius), (0, 0)), constant_values=beyond)
    steps = np.arange(2 * radius + 1)
    down = (rows[:, None, None] + steps[:, None]).repeat(steps.size, 2).reshape(rows.size, -1)
    across = (columns[:, None, None] + steps[None]).repeat(steps.size, 1).reshape(rows.size, -1)
    return grown[down, across]


def _largest(values: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """The rank-th largest of each row, counted from 1; 0 where a row has no so many."""
    ordered = -np.sort(-values, axis=1)
    at = np.minimum(rank, values.shape[1]) - 1
    return np.maximum(ordered[np.arange(len(values)), at], 0)


def _grown(bright: np.ndarray, light: np.ndarray, steps: int) -> np.ndarray:
    """(H, W) bool: with pixels that touch bright ones and have a quarter of their light, and on."""
    height, width = bright.shape
    result = bright.copy()
    rows, columns = np.nonzero(bright)
    for _ in range(steps):
        next_rows, next_columns = [], []
        for down, across in _STEPS:
            y, x = (rows + down).clip(0, height - 1), (columns + across).clip(0, width - 1)
            fresh = ~result[y, x] & (light[y, x] > SUPPORT * light[rows, columns])
            result[y[fresh], x[fresh]] = True
            next_rows.append(y[fresh])
            next_columns.append(x[fresh])
        rows, columns = np.concatenate(next_rows), np.concatenate(next_columns)
    return result


def _islands(bright: np.ndarray, most: int) -> np.ndarray:
    """(H, W) bool: those in islands of no more pixels than this, which touch by side or corner.

    Numbers spread among neighbours as often as a way through an island can be long. An island is
    small if no more pixels have its number, and none of them touches another number.
    """
    rows, columns = np.nonzero(bright)
    if not rows.size:
        return bright
    numbers = np.zeros((bright.shape[0] + 2, bright.shape[1] + 2), np.int64)
    places = rows + 1, columns + 1
    numbers[places] = np.arange(1, rows.size + 1)

    def neighbours() -> np.ndarray:
        return np.stack([numbers[places[0] + y, places[1] + x] for y, x in _STEPS])

    for _ in range(most):
        numbers[places] = neighbours().max(0)
    own, beside = numbers[places], neighbours()
    large = np.bincount(own, minlength=rows.size + 1) > most
    large[own[((beside != own) & (beside > 0)).any(0)]] = True
    result = np.zeros_like(bright)
    result[rows, columns] = ~large[own]
    return result


def _shown(guides: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(N,) bool: whether guides show a thing of its own there, no larger than a firefly.

    It differs from most of what is around it, and nothing else there does so as much.
    """
    patch = _patches(guides.astype(np.float64), rows, columns, AROUND, np.nan)
    own = patch[:, patch.shape[1] // 2][:, None]
    off = np.abs(patch - np.nanmedian(patch, 1, keepdims=True)).max(-1)
    mine = off[:, off.shape[1] // 2]
    alike = np.abs(patch - own).max(-1) < mine[:, None] / 2
    others = np.nanmax(np.where(alike, 0, off), 1)
    return (mine > APART) & (mine > CLEARLY * others) & (alike.sum(1) <= ALIKE)
