"""The figures of a benchmark as pages show them: noises by methods, the best of a line marked."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mdn.metrics import Metric

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """One cell."""

    text: str = (
        ""  # the mean over the pictures, with the metric's digits; empty where there is none
    )
    spread: str = ""  # their standard deviation, likewise
    value: float | None = None  # the mean
    kind: str = ""  # "input" for the noisy picture itself, "best" for the best of its line, or ""


@dataclass(frozen=True)
class Pivot:
    """A metric on one data set."""

    metric: Metric  # what is shown
    names: tuple[str, ...]  # of the methods, the columns
    # the noises, each with a figure for every method
    lines: tuple[tuple[str, tuple[Figure, ...]], ...]


def of(document: Document, data: str, metric: Metric) -> Pivot:
    """The pivot of a results document."""
    rows = [row for row in document["rows"] if row["data"] == data]
    names = tuple(dict.fromkeys(row["method"] for row in rows))
    lines = []
    for noise in dict.fromkeys(row["noise"] for row in rows):
        mine = {row["method"]: row for row in rows if row["noise"] == noise}
        rivals = [
            round(row[metric.name], metric.digits)
            for row in mine.values()
            if row["kind"] != "input" and row[metric.name] is not None
        ]
        best = (min if metric.lower else max)(rivals) if len(rivals) > 1 else None
        lines.append((noise, tuple(figure(mine.get(name), metric, best) for name in names)))
    return Pivot(metric, names, tuple(lines))


def figure(row: Mapping[str, Any] | None, metric: Metric, best: float | None = None) -> Figure:
    """A row's figure. best: the best rounded mean of the line, where several methods compete."""
    value = None if row is None else row[metric.name]
    if row is None or value is None:
        return Figure()
    spread = row.get(f"{metric.name}_std")
    kind = "input" if row["kind"] == "input" else ""
    if not kind and best is not None and round(value, metric.digits) == best:
        kind = "best"
    shown = "" if spread is None else f"{spread:.{metric.digits}f}"
    return Figure(f"{value:.{metric.digits}f}", shown, value, kind)


def costs(document: Document) -> list[tuple[str, str, str]]:
    """Each method's seconds a megapixel (median of its rows) and peak MiB, over all data."""
    found = []
    for each in document["methods"]:
        rows = [row for row in document["rows"] if row["method"] == each["name"]]
        seconds = [row["us_per_pixel"] for row in rows if row["us_per_pixel"] is not None]
        peaks = [row["peak_mib"] for row in rows if row["peak_mib"] is not None]
        if seconds and peaks:
            found.append((each["name"], f"{statistics.median(seconds):.3g}", f"{max(peaks):.0f}"))
    return found
