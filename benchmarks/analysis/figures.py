"""Figures of `benchmarks.analysis`, from its document alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mdn import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document = Mapping[str, Any]
CELL, LEGEND = 3.2, 1.0  # inches


def _panels(names: Sequence[str], more: float = 0.0) -> tuple[Figure, list[tuple[str, Axes]]]:
    """A figure with a panel for each name, side by side; `more` inches of height."""
    figure = plots.make(CELL * len(names) + LEGEND, CELL + more)
    return figure, [
        (name, figure.add_subplot(1, len(names), number + 1, title=name))
        for number, name in enumerate(names)
    ]


def within(document: Document) -> Figure | None:
    """CKA between the stages of each model, under the reference."""
    figure, panels = _panels(list(document["within"]), 0.3)
    figure.suptitle(f"CKA between stages, {document['reference']}", x=0.01, ha="left")
    for model, axes in panels:
        _heat(axes, document["within"][model], document["stages"][model], document["stages"][model])
    return figure


def across_models(document: Document) -> Figure | None:
    """CKA between the stages of two models, under the reference and under the last noise."""
    shown = (document["reference"], document["noises"][-1])
    panels = [panel for panel in document["across_models"] if panel["noise"] in shown]
    if not panels:
        return None
    rows = (len(panels) + 1) // 2
    figure = plots.make(2 * (CELL + 0.6), rows * CELL)
    for number, panel in enumerate(panels):
        first, second = panel["models"]
        axes = figure.add_subplot(rows, 2, number + 1, title=f"CKA, {panel['noise']}")
        _heat(axes, panel["cka"], document["stages"][first], document["stages"][second])
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
    for (row, column), value in np.ndenumerate(np.array(table, float)):
        style: dict[str, Any] = {"color": "white" if value < 0.6 else "black", "size": 6}
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", **style)


def across_noises(document: Document) -> Figure | None:
    """CKA of each stage under the reference with itself under each other noise."""
    figure, panels = _panels(list(document["across_noises"]))
    for model, axes in panels:
        for place, (label, values) in enumerate(document["across_noises"][model].items()):
            axes.plot(values, label=label, **plots.look(place))
        axes.sharey(panels[0][1])
        stages = document["stages"][model]
        axes.set_xticks(range(len(stages)), stages, rotation=60, ha="right")
    panels[0][1].set_ylabel(f"CKA with {document['reference']}")
    figure.legend(*panels[0][1].get_legend_handles_labels(), loc="outside right center")
    return figure


def histograms(document: Document) -> Figure | None:
    """Densities of the deepest features under each noise."""
    figure, panels = _panels(list(document["histograms"]))
    for model, axes in panels:
        edges = np.array(document["histograms"][model]["edges"])
        densities = document["histograms"][model]["densities"]
        for place, (label, density) in enumerate(densities.items()):
            style: dict[str, Any] = {"color": plots.GRAY, "linewidth": 3}
            if place:
                style = {"color": plots.look(place - 1)["color"]}
            axes.plot((edges[1:] + edges[:-1]) / 2, density, label=label, **style)
        axes.set_xlabel(f"in deviations of {document['reference']}")
    panels[0][1].set_ylabel("density of the deepest features")
    figure.legend(*panels[0][1].get_legend_handles_labels(), loc="outside right center")
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
        colour = plots.look(number)["color"]
        axes.bar(places, [row[label] for label in labels], width, label=model, color=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=20, ha="right")
    axes.legend()
    return figure


FIGURES: dict[str, Callable[[Document], Any]] = {
    "cka-within": within,
    "cka-models": across_models,
    "cka-noises": across_noises,
    "histograms": histograms,
    "srga": srga,
}
