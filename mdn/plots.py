"""How all figures of mdn look, and how they are written.

matplotlib is an extra; `missing()` says so in one line. No pyplot: figures are objects, no window
and no global state.
"""

from __future__ import annotations

import io
import re
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
INK, LINE = "#010203", "#c0c1c2"  # replaced by the page's own colours in an inlined SVG


def missing() -> str:
    """Why no figure can be drawn here, in one line, or nothing."""
    if find_spec("matplotlib") is None:
        return "plots: not drawn: needs matplotlib; pip install mdn[plots]"
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
        "svg.fonttype": "none",
        "svg.hashsalt": "mdn",
    }
    inked = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    with matplotlib.rc_context(settings | dict.fromkeys(inked, INK)):
        yield


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


def as_svg(draw: Callable[[], Figure | None], prefix: str) -> str | None:
    """What `draw` draws as SVG to inline in a page, in the page's own ink and without background.

    prefix: what its ids begin with, so that several can be in one page.
    """
    with style():
        figure = draw()
        if figure is None:
            return None
        out = io.BytesIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'id="', f'id="{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = text.replace(INK, "currentColor").replace(LINE, "var(--line)")
    # As wide as the page allows, but text neither larger than the page's own nor too small to read.
    found = re.search(r'width="([\d.]+)pt" height="[^"]*"', text)
    assert found is not None
    width = float(found[1])
    sizes = f'style="max-width:{1.5 * width:.0f}px;min-width:{min(0.9 * width, 540):.0f}px"'
    return text.replace(found[0], sizes, 1)
