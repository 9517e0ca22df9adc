"""The planes beside one, in time or depth, as the route reads them; and whether they help.

A dye bleaches and a lamp flickers: a neighbour is brought to the brightness of the plane first, by
one factor on its light.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mdn.pipeline import fusion
from mdn.pipeline.calibration import Calibration, sample
from mdn.pipeline.page import Region

Source = tuple[tuple[int, int], Region]  # the size (H, W) of a plane and a way to read a part of it

NUMBER, MOST = 3, 3  # planes on each side, where nobody says how many, and at most
PAIRS = 6  # of planes beside one another, that are looked at to tell whether they help
SIDE = 256  # pixels of the part of them that is looked at
# Share of it that must count: of unrelated planes at most .1, of cells that move at least .5.
ALIKE = 0.25
BLOCK = 16  # pixels a side, whose brightness is compared
RANGE = 0.5, 2.0  # factors of brightness beyond which two planes show something else
STEADY = 0.005  # of the light: change of brightness that is none


@dataclass(frozen=True)
class Neighbours:
    """Planes beside one plane, of its size."""

    regions: tuple[Region, ...]  # each (top, bottom, left, right) -> (h, w) as stored
    factors: tuple[float, ...]  # how bright each is, the plane being 1
    width: int  # pixels
    row_bytes: int  # of a row of all of them
    calibration: Calibration  # of their channel

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.regions)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """(rows, W, K) as stored."""
        return np.stack([read(start, stop, 0, self.width) for read in self.regions], -1)

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """(h, w, K) as stored -> encoded as the plane, float32, NaN where they show nothing."""
        known, pedestal = self.calibration, _pedestal(self.calibration)
        light = stored.astype(np.float32)
        for place, factor in enumerate(self.factors):
            if factor != 1:
                light[..., place] = pedestal + (light[..., place] - pedestal) / np.float32(factor)
        values = known.coding.encode(light)
        return np.where(known.coding.measured(stored), values, np.float32(np.nan))


class Brightness:
    """The light of planes, in blocks; each is looked at once."""

    def __init__(self, known: Calibration) -> None:
        self._known = known
        self._blocks: dict[object, np.ndarray] = {}

    def factor(self, plane: Source, other: Source) -> float:
        """How bright the other is, the plane being 1: the median of their blocks, by their light.

        What moves is the smaller part of them.
        """
        if not self._known.coding.curve or not self._known.coding.curve.gain:
            return 1.0
        here, there = self._of(plane), self._of(other)
        use = np.isfinite(here) & np.isfinite(there) & (here > 0)
        if not use.any():
            return 1.0
        ratio, light = there[use] / here[use], here[use]
        order = np.argsort(ratio, kind="stable")
        summed = np.cumsum(light[order])
        factor = float(ratio[order][np.searchsorted(summed, summed[-1] / 2)])
        return factor if abs(factor - 1) > STEADY and RANGE[0] < factor < RANGE[1] else 1.0

    def _of(self, plane: Source) -> np.ndarray:
        if plane[1] not in self._blocks:
            if len(self._blocks) > 4 * MOST:
                self._blocks.pop(next(iter(self._blocks)))
            self._blocks[plane[1]] = self._measured(plane)
        return self._blocks[plane[1]]

    def _measured(self, plane: Source) -> np.ndarray:
        stored = sample([plane])[0]
        light = np.where(self._known.coding.measured(stored), stored, np.nan).astype(np.float64)
        height, width = (side // BLOCK * BLOCK for side in light.shape)
        blocks = light[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
        return np.asarray(blocks.mean((1, 3)) - _pedestal(self._known)).ravel()


def indices(place: int, count: int, number: int) -> list[int]:
    """Which of `count` planes in a row help the one at a place: so many on each side of it.

    At an end as many more from the other side, so that no plane has fewer.
    """
    first = max(0, min(place - number, count - 1 - 2 * number))
    return [index for index in range(first, min(count, first + 2 * number + 1)) if index != place]


def beside(
    plane: Source, others: Sequence[Source], known: Calibration, brightness: Brightness
) -> Neighbours | None:
    """The neighbours of a plane of a channel; None where none is of its size."""
    size = plane[0]
    alike = [other for other in others if other[0] == size]
    if not alike or min(size) < fusion.SMALLEST:
        return None
    return Neighbours(
        tuple(region for _, region in alike),
        tuple(brightness.factor(plane, other) for other in alike),
        size[1],
        len(alike) * size[1] * known.coding.dtype.itemsize,
        known,
    )


def can_help(known: Calibration) -> bool:
    """Whether there is noise of a kind that can be compared: independent from pixel to pixel."""
    return known.sigma > 0 and known.spacing == 1


def alike(pairs: Iterable[tuple[Source, Source]], known: Calibration) -> float:
    """Mean share of neighbouring planes that shows the same, 0..1, by the middle of some."""
    chosen = list(pairs)
    places = np.unique(np.linspace(0, len(chosen) - 1, min(PAIRS, len(chosen))).round())
    shares = []
    for plane, other in (chosen[int(place)] for place in places):
        neighbours = beside(plane, [other], known, Brightness(known))
        if neighbours is None:
            shares.append(0.0)
            continue
        rows, columns = (_middle(side) for side in plane[0])
        own, there = (
            region(rows.start, rows.stop, columns.start, columns.stop)
            for region in (plane[1], neighbours.regions[0])
        )
        values = known.encoded(own), neighbours.encode(there[..., None])[..., 0]
        x, y = (torch.from_numpy(np.ascontiguousarray(v))[None, None] / known.sigma for v in values)
        with torch.inference_mode():
            shares.append(float(fusion.compared(x, y)[0].mean()))
    return float(np.mean(shares)) if shares else 0.0


def _middle(side: int) -> slice:
    """The middle of a side, as long as tiles may be."""
    length = min(SIDE, side) // fusion.MULTIPLE * fusion.MULTIPLE
    return slice((side - length) // 2, (side + length) // 2)


def _pedestal(known: Calibration) -> float:
    """The value of no light, as far as the noise tells: where it vanishes."""
    curve = known.coding.curve
    return 0.0 if curve is None or curve.gain == 0 else -curve.offset / curve.gain
