"""How all figures of mdn look, and how they are written.

matplotlib is an extra; `missing()` says so in one line. No pyplot: figures are objects, no window
and no global state.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette for all kinds of colour vision, less its yellow, which paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C6D31", "#7F7FBF")
GRAY = "#888888"
MARKERS = "osD^vP*X"
INK, LINE = "#010203", "#c0c1c2"


def missing() -> str:
    """Why no figure can be drawn here, in one line, or nothing."""
    if find_spec("matplotlib") is None:
        return "plots: not drawn: needs matplotlib; pip install 'mdn[plots]'"
    return ""


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's settings for all figures; figures are made and written within."""
    import matplotlib

    settings: dict[Any, Any] = {
        "font.size": 9,
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "axes.edgecolor": LINE,
        "lines.linewidth": 1.6,
        "lines.markersize": 4.5,
        "legend.frameon": False,
    }
    inked = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    with matplotlib.rc_context(settings | dict.fromkeys(inked, INK)):
        yield


def look(number: int) -> dict[str, Any]:
    """Colour and marker of the line of that number, from 0; they repeat when none are left."""
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    return {"color": colour, "marker": marker}


def make(width: float, height: float) -> Figure:
    """A figure of that many inches; within `style`."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def as_png(draw: Callable[[], Figure | None], dpi: int = 110) -> bytes | None:
    """What `draw` draws as PNG on white, or None where there is nothing to draw."""
    with style():
        figure = draw()
        if figure is None:
            return None
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return out.getvalue()
