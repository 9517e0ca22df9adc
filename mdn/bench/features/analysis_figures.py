"""Figures of `mdn bench analyze`, from its document alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mdn import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document = Mapping[str, Any]
CELL, LEGEND = 3.2, 1.0  # inches


def within(document: Document) -> Figure | None:
    """CKA between the stages of each model, under the reference."""
    models = list(document["within"])
    figure = plots.make(CELL * len(models) + LEGEND, CELL + 0.3)
    figure.suptitle(f"CKA between stages, {document['reference']}", x=0.01, ha="left")
    for number, model in enumerate(models):
        axes = figure.add_subplot(1, len(models), number + 1, title=model)
        _heat(axes, document["within"][model], document["stages"][model], document["stages"][model])
    return figure


def across_models(document: Document) -> Figure | None:
    """CKA between the stages of two models, under the reference and under the last noise."""
    shown = (document["reference"], document["noises"][-1])
    panels = [each for each in document["across_models"] if each["noise"] in shown]
    if not panels:
        return None
    rows = (len(panels) + 1) // 2
    figure = plots.make(2 * (CELL + 0.6), rows * CELL)
    for number, each in enumerate(panels):
        first, second = each["models"]
        axes = figure.add_subplot(rows, 2, number + 1, title=f"CKA, {each['noise']}")
        _heat(axes, each["cka"], document["stages"][first], document["stages"][second])
        axes.set_ylabel(first)
        axes.set_xlabel(second)
    return figure


def _heat(axes: Axes, table: list[list[float]], rows: list[str], columns: list[str]) -> None:
    axes.imshow(np.array(table, float), vmin=0, vmax=1, cmap="viridis")
    axes.grid(False)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    if len(rows) * len(columns) > 150:
        return
    for row, values in enumerate(table):
        for column, value in enumerate(values):
            ink = "white" if value < 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, size=6)


def across_noises(document: Document) -> Figure | None:
    """CKA of each stage under the reference with itself under each other noise."""
    models = list(document["across_noises"])
    figure = plots.make(CELL * len(models) + LEGEND, CELL)
    axes: Axes | None = None
    for number, model in enumerate(models):
        axes = figure.add_subplot(1, len(models), number + 1, title=model, sharey=axes)
        for place, (label, values) in enumerate(document["across_noises"][model].items()):
            axes.plot(values, label=label, **_look(place))
        stages = document["stages"][model]
        axes.set_xticks(range(len(stages)), stages, rotation=60, ha="right")
        if number == 0:
            axes.set_ylabel(f"CKA with {document['reference']}")
            figure.legend(loc="outside right center")
    return figure


def histograms(document: Document) -> Figure | None:
    """Densities of the deepest features under each noise."""
    models = list(document["histograms"])
    figure = plots.make(CELL * len(models) + LEGEND, CELL)
    for number, model in enumerate(models):
        axes = figure.add_subplot(1, len(models), number + 1, title=model)
        edges = np.array(document["histograms"][model]["edges"])
        middles = (edges[1:] + edges[:-1]) / 2
        for place, (label, density) in enumerate(
            document["histograms"][model]["densities"].items()
        ):
            look = {"color": plots.GRAY, "linewidth": 3} if place == 0 else _look(place - 1)
            look.pop("marker", None)
            axes.plot(middles, density, label=label, **look)
        axes.set_xlabel(f"in deviations of {document['reference']}")
        if number == 0:
            axes.set_ylabel("density of the deepest features")
            figure.legend(loc="outside right center")
    return figure


def srga(document: Document) -> Figure | None:
    """SRGA of each model under each noise as bars."""
    table = document["srga"]
    labels = document["noises"][1:]
    figure = plots.make(max(5.0, 1.1 * len(labels) + 2), CELL)
    axes = figure.add_subplot(title="SRGA: lower is better", ylabel="divergence, nats")
    width = 0.8 / len(table)
    for number, (model, row) in enumerate(table.items()):
        places = np.arange(len(labels)) + (number - (len(table) - 1) / 2) * width
        colour = plots.COLOURS[number % len(plots.COLOURS)]
        axes.bar(places, [row[label] for label in labels], width, label=model, color=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=20, ha="right")
    axes.legend()
    return figure


def _look(place: int) -> dict[str, Any]:
    colours, markers = plots.COLOURS, plots.MARKERS
    return {"color": colours[place % len(colours)], "marker": markers[place % len(markers)]}


DRAWN: dict[str, Callable[[Document], Any]] = {
    "cka-within": within,
    "cka-models": across_models,
    "cka-noises": across_noises,
    "histograms": histograms,
    "srga": srga,
}
