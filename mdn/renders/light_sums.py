"""Layers that add up to the beauty: found in the noisy file, true in the clean one.

Which of them do is measured, not guessed from names: a set of layers is one that sums if its sum is
the beauty at every pixel but for rounding. Light groups do, and so do the parts of the light
(diffuse, specular, emission), each set for itself.

Cycles writes light without the colour of what it falls on, and the colour beside it: its beauty is
DiffDir x DiffCol + DiffInd x DiffCol + GlossDir x GlossCol + ... + Emit + Env (Blender's manual,
"Render Passes"). Of these the names are known; that they add up is measured all the same.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np

from mdn.io.exr import Exr
from mdn.io.exr.layers import Layer

MOST = 14  # layers of which all sets are tried, 16 thousand; of more only the set of all, too
SAMPLES = 512  # pixels that a set must first agree on
ROUNDING = 4.0  # times what half precision rounds off each term
DARK = 1e-3  # colour below which a light behind it changes nothing that could be seen
_CYCLES = re.compile(
    r"(?P<kind>diff|gloss|trans|subsurface|volume)\w*?[ _]?(?P<part>dir|ind|col)\w*"
    r"|emi(t|ssion)|env\w*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sum:
    """A beauty and the lights that add up to it."""

    total: Layer
    terms: tuple[Layer, ...]
    # of each term, the layer of colours that it is multiplied by, or None; empty: none is
    colours: tuple[Layer | None, ...] = ()

    @property
    def factors(self) -> tuple[Layer | None, ...]:
        """As `colours`, one for each term."""
        return self.colours or (None,) * len(self.terms)


def find(file: Exr, found: Sequence[Layer]) -> list[Sum]:
    """Every sum of a file: sets of lights without a common member, the smallest first."""
    sums: list[Sum] = []
    for total in (layer for layer in found if layer.role == "beauty"):
        window = file.headers.parts[total.part].data_window
        lights = [
            layer
            for layer in found
            if layer.role == "light"
            and layer.view == total.view
            and len(layer.channels) == len(total.channels)
            and file.headers.parts[layer.part].data_window == window
        ]
        if coloured := _of_cycles(file, total, found):
            sums.append(coloured)
            lights = [layer for layer in lights if layer not in coloured.terms]
        sums += _sums(file, total, lights)
    return sums


def _of_cycles(file: Exr, total: Layer, found: Sequence[Layer]) -> Sum | None:
    """The sum of the lights that Cycles writes beside a beauty of its, each times its colour."""
    scene, _ = total.words  # the view layer
    terms: list[tuple[Layer, str]] = []
    colours: dict[str, Layer] = {}
    for layer in found:
        prefix, name = layer.words
        match = _CYCLES.fullmatch(name)
        own = layer.part, prefix, layer.view, len(layer.channels)
        if match is None or own != (total.part, scene, total.view, len(total.channels)):
            continue
        kind = (match["kind"] or "").lower()
        if (match["part"] or "").lower() == "col":
            colours[kind] = layer
        else:
            terms.append((layer, kind))
    if not colours or len(terms) < 2:
        return None
    lights = tuple(layer for layer, _ in terms)
    factors = tuple(colours.get(kind) for _, kind in terms)
    values = [
        _values(file, light) * (1 if factor is None else _values(file, factor))
        for light, factor in zip(lights, factors, strict=True)
    ]
    return Sum(total, lights, factors) if _agree(_values(file, total), values) else None


def _sums(file: Exr, total: Layer, lights: list[Layer]) -> list[Sum]:
    whole = _values(file, total)
    parts = [_values(file, layer) for layer in lights]
    light = np.abs(whole).reshape(-1, whole.shape[-1]).sum(-1)
    most = np.argsort(light)[-SAMPLES * 4 :: 4]  # lit ones: black agrees with everything
    few = [each.reshape(-1, whole.shape[-1])[most] for each in parts]
    wanted = whole.reshape(-1, whole.shape[-1])[most]
    sums: list[Sum] = []
    left = list(range(len(lights)))
    tried = (s for size in range(2, len(left[:MOST]) + 1) for s in combinations(left[:MOST], size))
    for members in chain([tuple(left)] if len(left) > MOST else [], tried):
        if not set(members) <= set(left) or not _agree(wanted, [few[index] for index in members]):
            continue
        if _agree(whole, [parts[index] for index in members]):
            sums.append(Sum(total, tuple(lights[index] for index in members)))
            left = [index for index in left if index not in members]
    return sums


def _agree(total: np.ndarray, terms: list[np.ndarray]) -> bool:
    """Whether the terms add up, but for the rounding of half floats in each."""
    summed = np.sum(terms, 0)
    size = np.sum(np.abs(terms), 0) + np.abs(total)
    close = np.abs(summed - total) <= ROUNDING * 2.0**-11 * size + 1e-6
    # A pixel in a thousand may be off: renderers clamp the beauty's fireflies.
    return float(np.mean(close)) > 0.999


def _values(file: Exr, layer: Layer) -> np.ndarray:
    return np.nan_to_num(layer.pixels(file).astype(np.float64), posinf=0, neginf=0)


def kept(
    total: np.ndarray,
    terms: list[np.ndarray],
    bounds: Sequence[np.ndarray],
    highest: float,
    colours: Sequence[np.ndarray | None] | None = None,
) -> tuple[list[np.ndarray], np.ndarray]:
    """The terms with the total's difference shared out among them, and the total they add up to.

    Each takes of it as much as it is of the light; without light, all the same. No term leaves its
    bounds, and where terms above 0 come to more than the highest total, all get less.

    Args:
        total, terms: (H, W) of one channel, half or float.
        bounds: of each term, its least and its largest value.
        highest: what no total exceeds.
        colours: what each term is multiplied by before it is added, or None for 1.

    Returns:
        Terms and total, rounded to their dtypes: they add up to the last bit but one.
    """
    ones = np.ones(total.shape)
    weights = [ones if each is None else np.nan_to_num(each.astype(np.float64)) for each in
               colours or [None] * len(terms)]  # fmt: skip
    lights = [weight * term for weight, term in zip(weights, terms, strict=True)]
    size = np.sum(np.abs(lights), 0)
    off = total.astype(np.float64) - np.sum(lights, 0)
    shared = []
    for term, light, weight, (low, high) in zip(terms, lights, weights, bounds, strict=True):
        share = np.where(size > 0, np.abs(light) / np.where(size > 0, size, 1), 1 / len(terms))
        seen = weight > DARK
        change = np.where(seen, share * off / np.where(seen, weight, 1), 0)
        shared.append(np.clip(term + change, low, high))
    summed = np.sum([weight * values for weight, values in zip(weights, shared, strict=True)], 0)
    over = (summed > highest) & (np.min(shared, 0) >= 0)
    scale = np.where(over, highest / np.where(over, summed, 1), 1)
    rounded = [
        (values * scale).astype(term.dtype) for values, term in zip(shared, terms, strict=True)
    ]
    top = min(float(np.finfo(total.dtype).max), highest)
    whole = np.sum([weight * values for weight, values in zip(weights, rounded, strict=True)], 0)
    return rounded, np.clip(whole, -float(np.finfo(total.dtype).max), top).astype(total.dtype)
