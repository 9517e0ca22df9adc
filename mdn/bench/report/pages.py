"""A benchmark as pages, from its results document, contact sheets and training logs.

`html`: one file that opens offline; style, script and pictures are all inside. Nothing is measured
here; the texts are in the templates in `page/`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mdn import metrics, plots
from mdn.bench.report import figures, pivot
from mdn.bench.report.sheet_files import Sheet

if TYPE_CHECKING:
    from jinja2 import Environment

Document = Mapping[str, Any]


def html(document: Document, sheets: Sequence[Sheet]) -> str:
    """The whole file. Where matplotlib is missing the page says so instead of its plots."""
    drawings = {} if plots.missing() else figures.drawings(document)
    # Their ids differ, since all are in one page.
    drawn = {name: plots.as_svg(each, f"p{n}") for n, (name, each) in enumerate(drawings.items())}
    text = render("report.html.j2", document, sheets=sheets, svg=drawn, no_plots=plots.missing())
    return text.lstrip()


def render(template: str, document: Document, **others: Any) -> str:
    """A template in `page/`, filled with a results document, its pivots, and `others`."""
    known = [metrics.get(name) for name in document["metrics"]]
    pivots = {
        data["name"]: [pivot.of(document, data["name"], metric) for metric in known]
        for data in document["data"]
    }
    shown = {"known": known, "pivots": pivots, "costs": pivot.costs(document)}
    return _environment().get_template(template).render(document, **shown, **others)


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("mdn.bench.report", "page"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["inline"] = _inline
    environment.globals["figure"] = pivot.figure
    return environment


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
