"""Contact sheets: one picture by noise, the crop where methods differ most, as each method made it.

The picture is the one with the median score; the crop is where the methods' errors differ most and
there is something to see. Neither is picked by hand: the same run makes the same sheets.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from mdn.bench.data import BenchImage, DataSet
from mdn.bench.methods import Method
from mdn.bench.noise_cases import NoiseCase
from mdn.bench.runner import Runner, denoise
from mdn.bench.scores import Row
from mdn.errors import FileError, MdnError
from mdn.metrics import Metric, get, tone_map

CROP, SMALLEST = 96, 24  # pixels a side
THUMB = 420  # of the overview, pixels
FLAT = 0.01  # deviation that an empty window counts as, white being 1
WORST = 0.2  # the error that is drawn brightest, white being 1

# Black, violet, red, orange, pale yellow: darker is better, and it reads without colour.
RAMP = np.array([(0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191)])


@dataclass(frozen=True)
class Tile:
    """What one method made of the crop."""

    name: str  # the method, or "truth"
    pixels: np.ndarray  # (side, side, 3) uint8
    error: np.ndarray | None = None  # a map of its error, likewise; None for the truth
    value: float | None = None  # the first metric on the whole picture


@dataclass(frozen=True)
class Sheet:
    """One noise on one picture."""

    data: str
    noise: str
    picture: str
    metric: Metric  # of the figures
    size: tuple[int, int]  # width and height of the picture
    box: tuple[int, int, int]  # left, top and side of the crop, pixels
    overview: np.ndarray  # the true picture, reduced, (H, W, 3) uint8
    tiles: tuple[Tile, ...]  # the truth, the input, then the methods


def make(runner: Runner, sets: Sequence[DataSet]) -> list[Sheet]:
    """A sheet by data set and kind of noise, of its middle level."""
    levels: dict[tuple[str, str], list[NoiseCase]] = {}
    for name, case in runner.measured:
        levels.setdefault((name, case.kind), []).append(case)
    sheets = []
    for (name, _), cases in levels.items():
        data, case = next(data for data in sets if data.name == name), cases[len(cases) // 2]
        rows = [row for row in runner.rows if (row.data, row.noise) == (name, case.label)]
        picture = _median_picture(data, rows, runner.rules.metrics[0])
        sheet = None if picture is None else _draw(runner, data, picture, case)
        sheets += [sheet] if sheet else []
    return sheets


def _median_picture(data: DataSet, rows: Sequence[Row], metric: str) -> BenchImage | None:
    """The picture in the middle of the first model's scores (of the input's, without models)."""
    row = next((row for row in rows if row.kind != "input" and row.scores), rows[0])
    values = sorted(
        (value, name)
        for name, score in row.scores.items()
        if (value := score.metrics.get(metric)) is not None
    )
    if not values:
        return None
    name = values[len(values) // 2][1]
    return next(picture for picture in data.pictures if picture.name == name)


def _draw(runner: Runner, data: DataSet, picture: BenchImage, case: NoiseCase) -> Sheet | None:
    try:
        task = runner.task(picture, case)
    except MdnError:  # read once already; gone since
        return None
    results: list[tuple[Method, np.ndarray]] = []
    for method in runner.applicable(data):
        with suppress(FileError):  # reported when it was measured
            method.prepare()
            results.append((method, denoise(method, task)))
    linear = task.render is not None
    truth, *shown = (visible(page, linear) for page in (task.truth, *(r for _, r in results)))
    errors = [np.square(page - truth).mean(-1) for page in shown]
    rivals = [e for (who, _), e in zip(results, errors, strict=True) if who.kind != "input"]
    top, left, side = informative_crop(rivals or errors, truth.mean(-1))
    cut = (slice(top, top + side), slice(left, left + side))
    metric = get(runner.rules.metrics[0])
    tiles = [Tile("truth", _bytes(truth[cut]))]
    for (who, result), page in zip(results, shown, strict=True):
        error = np.abs(page - truth)[cut].mean(-1)
        value = runner.score(result, task)[metric.name]
        tiles.append(Tile(who.name, _bytes(page[cut]), _bytes(heat(error)), value))
    height, width = truth.shape[:2]
    names, box = (data.name, case.label, picture.name, metric), (left, top, side)
    return Sheet(*names, (width, height), box, _bytes(_reduced(truth)), tuple(tiles))


def visible(page: np.ndarray, linear: bool = False) -> np.ndarray:
    """(H, W, C) as stored -> (H, W, 3) float32 in 0..1, as a screen shows it."""
    page = tone_map(page) if linear else page
    white = np.iinfo(page.dtype).max if page.dtype.kind in "ui" else 1
    values = np.clip(page.astype(np.float32) / np.float32(white), 0, 1)
    return np.broadcast_to(values, (*values.shape[:2], 3))


def informative_crop(
    errors: Sequence[np.ndarray], truth: np.ndarray | None = None
) -> tuple[int, int, int]:
    """Top, left and side of the window that shows best where root mean square errors differ.

    errors: squared, (H, W) by method. With a single one: where its error is largest.
    truth: (H, W); the difference is then weighed by its deviation: an empty sky shows little.
    """
    height, width = errors[0].shape
    side = min(CROP, max(SMALLEST, min(height, width) // 2), height, width)
    rms = np.stack([np.sqrt(_window_means(error, side)) for error in errors])
    spread = rms.max(0) - (rms.min(0) if len(errors) > 1 else 0)
    if truth is not None:
        variance = _window_means(truth**2, side) - _window_means(truth, side) ** 2
        spread = spread * np.sqrt(np.maximum(variance, 0) + FLAT**2)
    top, left = np.unravel_index(int(spread.argmax()), spread.shape)
    return int(top), int(left), side


def _window_means(plane: np.ndarray, side: int) -> np.ndarray:
    """The mean of every side x side window, by a table of sums."""
    sums = np.pad(plane.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    total = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.maximum(total, 0) / side**2


def heat(error: np.ndarray) -> np.ndarray:
    """(H, W) absolute errors -> (H, W, 3) in 0..1, the root making small ones visible."""
    at = np.sqrt(np.clip(error / WORST, 0, 1))
    stops = np.linspace(0, 1, len(RAMP))
    return np.stack([np.interp(at, stops, RAMP[:, c] / 255) for c in range(3)], -1)


def _reduced(page: np.ndarray) -> np.ndarray:
    """The mean of blocks, so that the longer side is at most THUMB pixels."""
    step = max(1, -(-max(page.shape[:2]) // THUMB))
    height, width = (side // step for side in page.shape[:2])
    blocks = page[: height * step, : width * step].reshape(height, step, width, step, 3)
    return blocks.mean((1, 3))


def _bytes(values: np.ndarray) -> np.ndarray:
    """Values of 0..1 as uint8."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
