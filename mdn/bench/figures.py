"""Figures of a benchmark as PNG, drawn from its results document and contact sheets."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mdn import metrics, noise, plots
from mdn.bench.sheets import Sheet
from mdn.errors import MdnError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 11.0  # inches
LABEL_OFFSETS = ((7, 4), (7, -9), (-7, 4), (-7, -9))  # points, of a name beside its mark

Document = Mapping[str, Any]
Points = list[tuple[float, float]]


def split(label: str) -> tuple[str, float | None]:
    """A row's noise as kind and level: gaussian25 -> gaussian, 25; real -> real, None."""
    match = re.fullmatch(r"(.*?)(\d+(?:\.\d+)?)?", label)
    assert match is not None
    return match[1], None if match[2] is None else float(match[2])


def styles(document: Document) -> dict[str, dict[str, Any]]:
    """Colour, marker and line of each method, the same in every figure."""
    looks: dict[str, dict[str, Any]] = {}
    number = 0
    for method in document["methods"]:
        if method["kind"] == "input":
            looks[method["name"]] = {"color": plots.GRAY, "marker": "x", "linestyle": ":"}
            continue
        line = "-" if method["kind"] == "model" else "--"
        looks[method["name"]] = plots.look(number) | {"linestyle": line}
        number += 1
    return looks


def draw_all(document: Document, sheets: Sequence[Sheet]) -> dict[str, bytes]:
    """All figures that there is something for, as PNG by name."""
    names = [data["name"] for data in document["data"]]
    drawings: dict[str, Callable[[], Figure | None]] = {
        f"levels-{name}": partial(levels, document, name) for name in names
    }
    drawings["speed"] = partial(speed_plot, document)
    for name in names:
        mine = [sheet for sheet in sheets if sheet.data == name]
        drawings[f"pictures-{name}"] = partial(contact, mine)
    pictures = {name: plots.as_png(draw) for name, draw in drawings.items()}
    return {name.replace("/", "_"): png for name, png in pictures.items() if png is not None}


def _panels(count: int, most: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    """A figure with `count` axes, at most so many in a row; inches of one, and of the rest."""
    columns = min(most, count)
    rows = math.ceil(count / columns)
    figure = plots.make(width * columns, height * rows)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for at in axes[count:]:
        at.remove()
    return figure, axes[:count]


# --- quality against level (Chen et al., CVPR 2023, figure 11) ----------------------------------


def levels(document: Document, data: str) -> Figure | None:
    """A panel by noise type: the first metric against the level, a line by method."""
    from matplotlib.lines import Line2D

    metric = metrics.get(document["metrics"][0])
    panels: dict[str, dict[str, Points]] = {}  # by kind of noise and method; others have no level
    for row in document["rows"]:
        kind, level = split(row["noise"])
        value = row[metric.name]
        if row["data"] == data and level is not None and value is not None:
            panels.setdefault(kind, {}).setdefault(row["method"], []).append((level, value))
    if not panels:
        return None
    figure, axes = _panels(len(panels), 4, WIDE / 4, 2.5)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width + 0.6, height + 0.6)
    looks = styles(document)
    for at, (kind, lines) in zip(axes, panels.items(), strict=True):
        _panel(at, kind, lines, looks)
        if at.get_subplotspec().is_first_col():
            at.set_ylabel(metric.title)
    names = {name for lines in panels.values() for name in lines}
    handles = [Line2D([], [], label=name, **how) for name, how in looks.items() if name in names]
    columns = max(1, int(figure.get_figwidth() / 1.5))
    figure.legend(handles=handles, loc="outside upper left", ncols=columns)
    return figure


def _panel(
    at: Axes, kind: str, lines: Mapping[str, Points], looks: Mapping[str, dict[str, Any]]
) -> None:
    for name, points in lines.items():
        x, y = zip(*sorted(points), strict=True)
        at.plot(x, y, **looks[name])
    ticks = sorted({x for points in lines.values() for x, _ in points})
    at.set_title(kind)
    if kind == "spp":
        at.set_xscale("log", base=2)
    at.set_xlabel("samples per pixel" if kind == "spp" else _unit(kind))
    at.minorticks_off()
    at.set_xticks(ticks, _apart(ticks, kind == "spp"))
    if len(ticks) == 1:  # one point in the middle, not in a corner
        at.set_xlim(ticks[0] - 1, ticks[0] + 1)


def _apart(ticks: Sequence[float], log: bool) -> list[str]:
    """Labels of ticks, empty where one would touch the one before."""
    where = [math.log(tick) if log else tick for tick in ticks]
    room, last, labels = 0.13 * (where[-1] - where[0]), -math.inf, []
    for tick, at in zip(ticks, where, strict=True):
        fits = at - last >= room
        labels.append(f"{tick:g}" if fits else "")
        last = at if fits else last
    return labels


def _unit(kind: str) -> str:
    try:
        its = noise.get(kind)
    except MdnError:  # results of an older or a newer mdn
        return "level"
    return its.parameter if len(its.unit) > 24 else f"{its.parameter} ({its.unit})"


# --- quality against time -----------------------------------------------------------------------


def speed_plot(document: Document) -> Figure | None:
    """A panel by data set: mean of the first metric over all noises, against seconds."""
    from matplotlib.ticker import LogLocator, NullLocator

    metric = metrics.get(document["metrics"][0])
    panels = {data["name"]: _speeds(document, data["name"]) for data in document["data"]}
    panels = {name: points for name, points in panels.items() if points}
    if not panels:
        return None
    figure, axes = _panels(len(panels), 3, WIDE / 3, 3.2)
    width, height = figure.get_size_inches()
    figure.set_size_inches(max(width, WIDE / 2), height + 0.5)
    looks = styles(document)
    for at, (name, points) in zip(axes, panels.items(), strict=True):
        best_first = sorted(points, key=lambda who: points[who][1], reverse=True)
        for index, who in enumerate(best_first):
            how = looks[who] | {"linestyle": "none", "markersize": 7}
            at.plot([points[who][0]], [points[who][1]], **how)
            # Names of neighbours in quality keep out of each other's way.
            across, down = LABEL_OFFSETS[index % len(LABEL_OFFSETS)]
            side = "left" if across > 0 else "right"
            offset: dict[str, Any] = {"xytext": (across, down), "textcoords": "offset points"}
            at.annotate(who, points[who], **offset, ha=side, fontsize=8)
        at.set_xscale("log")
        at.margins(x=0.25, y=0.15)
        at.set_title(name)
        at.set_xlabel("seconds per megapixel (left is faster)")
        at.set_ylabel(f"mean {metric.title}")
        at.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        at.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        at.xaxis.set_minor_locator(NullLocator())
    return figure


def _speeds(document: Document, data: str) -> dict[str, tuple[float, float]]:
    """Seconds a megapixel (median) and mean figure by method; only those with all rows."""
    name = document["metrics"][0]
    rows = [row for row in document["rows"] if row["data"] == data and row["kind"] != "input"]
    points = {}
    for who in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == who]
        if all(row[name] is not None and row["us_per_pixel"] for row in mine):
            seconds = statistics.median(row["us_per_pixel"] for row in mine)
            points[who] = (seconds, statistics.fmean(row[name] for row in mine))
    return points


# --- contact sheets -----------------------------------------------------------------------------


def contact(sheets: Sequence[Sheet]) -> Figure | None:
    """A line by noise: the picture with its crop framed, then crop and error by method."""
    if not sheets:
        return None
    columns = 1 + max(len(sheet.tiles) for sheet in sheets)
    figure = plots.make(1.35 * columns, 2.9 * len(sheets))
    axes = figure.subplots(2 * len(sheets), columns, squeeze=False)
    for at in axes.flat:
        at.axis("off")
    for line, sheet in enumerate(sheets):
        upper, lower = axes[2 * line], axes[2 * line + 1]
        _overview(upper[0], sheet)
        for at, below, tile in zip(upper[1:], lower[1:], sheet.tiles, strict=False):
            value = "" if tile.value is None else f"\n{tile.value:.{sheet.metric.digits}f}"
            at.set_title(f"{tile.name}{value}", fontsize=7, weight="normal")
            at.imshow(tile.pixels, interpolation="nearest")
            if tile.error is not None:
                below.imshow(tile.error, interpolation="nearest")
    return figure


def _overview(at: Axes, sheet: Sheet) -> None:
    from matplotlib.patches import Rectangle

    width, height = sheet.size
    left, top, side = sheet.box
    at.imshow(sheet.overview, extent=(0, width, height, 0))
    at.add_patch(Rectangle((left, top), side, side, fill=False, edgecolor="white", lw=1.2))
    at.set_title(f"{sheet.noise}\n{sheet.picture.rpartition('/')[2]}", fontsize=7)
