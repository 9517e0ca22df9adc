"""Figures of a benchmark, drawn from its results document alone: nothing is measured again."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mdn import metrics, noise, plots
from mdn.bench.report import curves
from mdn.errors import MdnError
from mdn.training.curves import draw as draw_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 11.0  # inches
ASIDE = ((7, 4), (7, -9), (-7, 4), (-7, -9))  # points, of a name beside its mark

Document = Mapping[str, Any]


def split(label: str) -> tuple[str, float | None]:
    """A row's noise as kind and level: gaussian25 -> gaussian, 25; real -> real, None."""
    match = re.fullmatch(r"(.*?)(\d+(?:\.\d+)?)?", label)
    assert match is not None
    return match[1], None if match[2] is None else float(match[2])


def look(document: Document) -> dict[str, dict[str, Any]]:
    """Colour, marker and line of each contender, the same in every figure."""
    looks: dict[str, dict[str, Any]] = {}
    coloured = 0
    for each in document["contenders"]:
        if each["kind"] == "input":
            looks[each["name"]] = {"color": plots.GRAY, "marker": "x", "linestyle": ":"}
            continue
        line = "-" if each["kind"] == "model" else "--"
        looks[each["name"]] = {
            "color": plots.COLOURS[coloured % len(plots.COLOURS)],
            "marker": plots.MARKERS[coloured % len(plots.MARKERS)],
            "linestyle": line,
        }
        coloured += 1
    return looks


# --- quality against level (Chen et al., CVPR 2023, figure 11) ----------------------------------


def levels(document: Document, data: str) -> Figure | None:
    """A panel by noise type: the first metric against the level, a line by contender."""
    panels = _by_kind(document, data)
    if not panels:
        return None
    metric = metrics.get(document["metrics"][0])
    columns = min(4, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = plots.make(WIDE * columns / 4 + 0.6, 2.5 * rows + 0.6)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for at, (kind, lines) in zip(axes, panels.items(), strict=False):
        _panel(at, kind, lines, look(document))
        if at.get_subplotspec().is_first_col():
            at.set_ylabel(metric.title)
    for at in axes[len(panels) :]:
        at.remove()
    drawn = {name for lines in panels.values() for name in lines}
    _legend(figure, {name: how for name, how in look(document).items() if name in drawn})
    return figure


Lines = dict[str, list[tuple[float, float]]]


def _by_kind(document: Document, data: str) -> dict[str, Lines]:
    """Points (level, figure) by kind of noise and contender; what has no level is left out."""
    name = document["metrics"][0]
    panels: dict[str, Lines] = {}
    for row in document["rows"]:
        kind, level = split(row["noise"])
        if row["data"] == data and level is not None and row[name] is not None:
            panels.setdefault(kind, {}).setdefault(row["contender"], []).append((level, row[name]))
    return panels


def _panel(at: Axes, kind: str, lines: Lines, looks: Mapping[str, dict[str, Any]]) -> None:
    ticks: set[float] = set()
    for name, points in lines.items():
        x, y = zip(*sorted(points), strict=True)
        at.plot(x, y, **looks[name])
        ticks.update(x)
    at.set_title(kind)
    if kind == "spp":
        at.set_xscale("log", base=2)
        at.set_xlabel("samples per pixel")
    else:
        at.set_xlabel(_unit(kind))
    at.minorticks_off()
    at.set_xticks(sorted(ticks), _apart(sorted(ticks), kind == "spp"))
    if len(ticks) == 1:  # one point in the middle, not in a corner
        (only,) = ticks
        at.set_xlim(only - 1, only + 1)


def _apart(ticks: Sequence[float], log: bool) -> list[str]:
    """Labels of ticks, empty where one would touch the one before."""
    where = [math.log(tick) if log else tick for tick in ticks]
    room, last, labels = 0.13 * (where[-1] - where[0]), -math.inf, []
    for tick, at in zip(ticks, where, strict=True):
        shown = at - last >= room
        labels.append(f"{tick:g}" if shown else "")
        last = at if shown else last
    return labels


def _unit(kind: str) -> str:
    try:
        found = noise.get(kind)
    except MdnError:  # results of an older or a newer mdn
        return "level"
    return found.parameter if len(found.unit) > 24 else f"{found.parameter} ({found.unit})"


# --- quality against time -----------------------------------------------------------------------


def pace(document: Document) -> Figure | None:
    """A panel by data set: mean of the first metric over all noises, against seconds."""
    from matplotlib.ticker import LogLocator, NullLocator

    metric = metrics.get(document["metrics"][0])
    panels = {data["name"]: _paces(document, data["name"]) for data in document["data"]}
    panels = {name: points for name, points in panels.items() if points}
    if not panels:
        return None
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = plots.make(WIDE * max(columns, 1.5) / 3, 3.2 * rows + 0.5)
    looks = look(document)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for at, (name, points) in zip(axes, panels.items(), strict=False):
        best_first = sorted(points, key=lambda each: points[each][1], reverse=True)
        for index, who in enumerate(best_first):
            how = looks[who] | {"linestyle": "none", "markersize": 7}
            at.plot([points[who][0]], [points[who][1]], **how)
            # Names of neighbours in quality keep out of each other's way.
            across, down = ASIDE[index % len(ASIDE)]
            at.annotate(
                who,
                points[who],
                (across, down),
                textcoords="offset points",
                ha="left" if across > 0 else "right",
                fontsize=8,
            )
        at.set_xscale("log")
        at.margins(x=0.25, y=0.15)
        at.set_title(name)
        at.set_xlabel("seconds per megapixel (left is faster)")
        at.set_ylabel(f"mean {metric.title}")
        at.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        at.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        at.xaxis.set_minor_locator(NullLocator())
    for at in axes[len(panels) :]:
        at.remove()
    return figure


def _paces(document: Document, data: str) -> dict[str, tuple[float, float]]:
    """Seconds a megapixel (median) and mean figure by contender; only those with all rows."""
    name = document["metrics"][0]
    rows = [row for row in document["rows"] if row["data"] == data and row["kind"] != "input"]
    points = {}
    for who in dict.fromkeys(row["contender"] for row in rows):
        mine = [row for row in rows if row["contender"] == who]
        if all(row[name] is not None and row["us_per_pixel"] for row in mine):
            seconds = statistics.median(row["us_per_pixel"] for row in mine)
            points[who] = (seconds, statistics.fmean(row[name] for row in mine))
    return points


# --- training curves ----------------------------------------------------------------------------


def training(document: Document) -> Figure | None:
    """The training runs of the models measured, as far as their logs are here: see mdn.training."""
    runs = curves.of_contenders(document)
    return draw_runs(runs) if runs else None


# --- making and writing -------------------------------------------------------------------------


def _legend(figure: Figure, looks: Mapping[str, dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=name, **how) for name, how in looks.items()]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=max(1, int(figure.get_figwidth() / 1.5))
    )
