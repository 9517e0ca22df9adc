"""A benchmark as one HTML file that opens offline: style, script and pictures are all inside.

It is made from the results document, the contact sheets and the models' training logs; nothing is
measured here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from importlib.resources import files
from typing import Any

from mdn import metrics, plots
from mdn.bench.report import figures
from mdn.bench.report.sheet_files import Sheet, Tile
from mdn.metrics import Metric

Document = Mapping[str, Any]


def page(document: Document, sheets: Sequence[Sheet]) -> str:
    """The whole file. Where matplotlib is missing the page says so instead of its plots."""
    known = [metrics.get(name) for name in document["metrics"]]
    data = [each["name"] for each in document["data"]]
    sections = {
        "Figures by noise": "".join(_pivots(document, name, known) for name in data),
        "Against the level": _levels(document, data),
        "Against time": _pace(document),
        "Pictures": "".join(_sheet(sheet) for sheet in sheets),
        "Training": _training(document),
        "Everything measured": _everything(document, known),
        "Notes": _list(document["notes"], "notes"),
        "Skipped": _list(document["failures"], "notes"),
        "How it was made": _facts(document),
    }
    kept = {title: body for title, body in sections.items() if body}
    links = "".join(f'<a href="#{_slug(title)}">{escape(title)}</a>' for title in kept)
    body = "".join(
        f'<section id="{_slug(title)}"><h2>{escape(title)}</h2>{text}</section>'
        for title, text in kept.items()
    )
    title = f"Denoising benchmark: {', '.join(data)}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_resource('report.css')}</style></head><body>"
        f"<h1>{escape(title)}</h1><pre>{escape(document['command'])}</pre>"
        f"<nav>{links}</nav><main>{body}</main>"
        f"<script>{_resource('report.js')}</script></body></html>\n"
    )


def _resource(name: str) -> str:
    return (files("mdn.bench.report") / "page" / name).read_text(encoding="utf-8")


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def _list(lines: Sequence[str], kind: str) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{items}</ul>' if lines else ""


# --- tables -------------------------------------------------------------------------------------

Cell = tuple[str, str, str]
"""Shown (HTML), sorted by, class."""


def _table(titles: Sequence[str], rows: Sequence[Sequence[Cell]], texts: int = 1) -> str:
    """A sortable table; its first `texts` columns hold text, the others numbers."""
    head = "".join(
        f'<th scope="col"{_class("text" if at < texts else "")}>'
        f'<button type="button">{escape(title)}</button></th>'
        for at, title in enumerate(titles)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td{_class(kind or ("text" if at < texts else ""))} data-v="{escape(value)}">'
            f"{shown}</td>"
            for at, (shown, value, kind) in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="scroll"><table class="sortable">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _pivots(document: Document, data: str, known: Sequence[Metric]) -> str:
    """For each metric, noises by contenders; the first open, the others folded away."""
    count = next(each["pictures"] for each in document["data"] if each["name"] == data)
    pictures = f"{count} picture{'' if count == 1 else 's'}"
    parts = [f"<h3>{escape(data)}, {pictures}: {escape(known[0].title)}</h3>"]
    parts.append(_pivot(document, data, known[0]))
    for metric in known[1:]:
        parts.append(
            f"<details><summary>{escape(data)}: {escape(metric.title)}</summary>"
            f"{_pivot(document, data, metric)}</details>"
        )
    return "".join(parts)


def _pivot(document: Document, data: str, metric: Metric) -> str:
    rows = [row for row in document["rows"] if row["data"] == data]
    names = list(dict.fromkeys(row["contender"] for row in rows))
    table = []
    for noise in dict.fromkeys(row["noise"] for row in rows):
        mine = {row["contender"]: row for row in rows if row["noise"] == noise}
        rivals = [
            round(row[metric.name], metric.digits)
            for row in mine.values()
            if row["kind"] != "input" and row[metric.name] is not None
        ]
        best = (min if metric.lower else max)(rivals, default=None)
        table.append(
            [(escape(noise), noise, "")]
            + [_figure(mine.get(name), metric, best if len(rivals) > 1 else None) for name in names]
        )
    return _table(["noise", *names], table)


def _figure(row: Mapping[str, Any] | None, metric: Metric, best: float | None) -> Cell:
    """Mean and spread; the best of a line is marked."""
    value = None if row is None else row[metric.name]
    if row is None or value is None:
        return "", "", ""
    shown = f"{value:.{metric.digits}f}"
    spread = row.get(f"{metric.name}_std")
    if spread is not None:
        shown += f' <span class="std">± {spread:.{metric.digits}f}</span>'
    kind = "input" if row["kind"] == "input" else ""
    if best is not None and not kind and round(value, metric.digits) == best:
        kind = "best"
    return shown, repr(value), kind


def _everything(document: Document, known: Sequence[Metric]) -> str:
    titles = ["data", "noise", "model", "pictures", *(metric.title for metric in known)]
    rows = []
    for row in document["rows"]:
        texts = [row["data"], row["noise"], row["contender"]]
        cells = [(escape(text), text, "text") for text in texts]
        cells.append((str(row["pictures"]), str(row["pictures"]), ""))
        cells += [(*_figure(row, metric, None)[:2], "") for metric in known]
        for key, digits in (("us_per_pixel", 3), ("peak_mib", 0)):
            value = row[key]
            cells.append(("", "", "") if value is None else (f"{value:.{digits}f}", str(value), ""))
        rows.append(cells)
    titles += ["s / megapixel", "peak MiB"]
    return (
        '<p class="soft">Mean ± standard deviation over pictures. Time is the median picture\'s;'
        " memory is the whole process's, on a GPU what was allocated there. Click a title to sort."
        f"</p>{_table(titles, rows, 3)}"
    )


# --- plots --------------------------------------------------------------------------------------


def _plot(svg: str | None) -> str:
    return f'<figure class="plot"><div class="scroll">{svg}</div></figure>' if svg else ""


def _levels(document: Document, data: Sequence[str]) -> str:
    if plots.missing():
        return f"<p>{escape(plots.missing())}</p>"
    drawn = []
    for index, name in enumerate(data):
        svg = plots.as_svg(partial(figures.levels, document, name), f"l{index}")
        drawn.append(f"<h3>{escape(name)}</h3>{_plot(svg)}" if svg else "")
    return "".join(drawn)


def _pace(document: Document) -> str:
    if plots.missing():
        return ""
    plot = _plot(plots.as_svg(lambda: figures.pace(document), "p"))
    return plot and (
        '<p class="soft">The mean over all noises of a data set, against the time of the median'
        " picture on the machine that ran this.</p>" + plot
    )


def _training(document: Document) -> str:
    if plots.missing():
        return ""
    return _plot(plots.as_svg(lambda: figures.training(document), "t"))


# --- contact sheets -----------------------------------------------------------------------------


def _sheet(sheet: Sheet) -> str:
    width, height = sheet.size
    left, top, side = sheet.box
    box = (
        f"left:{100 * left / width:.2f}%;top:{100 * top / height:.2f}%;"
        f"width:{100 * side / width:.2f}%;height:{100 * side / height:.2f}%"
    )
    overview = (
        f'<figure class="overview"><div class="frame"><img alt="" src="{_inline(sheet.overview)}">'
        f'<i style="{box}"></i></div><figcaption>{escape(sheet.picture)}, {width} &times; {height};'
        f" the frame, {side} &times; {side}, is enlarged</figcaption></figure>"
    )
    tiles = "".join(_tile(tile, sheet) for tile in sheet.tiles)
    return (
        f'<div class="sheet"><h3>{escape(sheet.data)}, {escape(sheet.noise)}</h3>'
        f'<div class="row">{overview}<div class="tiles">{tiles}</div></div>'
        '<p class="soft">Below each: its error, 0 to .2 of white and more.</p>'
        '<div class="legend"></div></div>'
    )


def _tile(tile: Tile, sheet: Sheet) -> str:
    value = "" if tile.value is None else f"{tile.value:.{sheet.digits}f} {sheet.metric}"
    error = f'<img alt="error of {escape(tile.name)}" src="{_inline(tile.error)}">'
    return (
        f'<figure><img alt="{escape(tile.name)}" src="{_inline(tile.image)}">'
        f"{error if tile.error else ''}"
        f"<figcaption><b>{escape(tile.name)}</b><br>{escape(value)}</figcaption></figure>"
    )


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


# --- how to repeat it ---------------------------------------------------------------------------


def _facts(document: Document) -> str:
    facts = [
        ("command", f"<code>{escape(document['command'])}</code>"),
        (
            "protocol",
            f"{escape(document['protocol'])}; noisy input: {escape(document['noisy_input'])}",
        ),
        ("seed", f"{document['seed']}; {document['threads']} threads"),
        ("versions", escape(", ".join(f"{k} {v}" for k, v in document["versions"].items()))),
    ]
    for each in document["contenders"]:
        facts.append((each["name"], _about(each)))
    for name, why in document["not_measured"].items():
        facts.append((name, escape(why)))
    for each in document["data"]:
        known = f"{each['pictures']} pictures, sha256 <code>{each['sha256']}</code>"
        facts.append((each["name"], known))
    items = "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in facts)
    return f'<dl class="facts">{items}</dl>'


def _about(contender: Mapping[str, Any]) -> str:
    parts = [escape(contender["title"])]
    if "sha256" in contender:
        parts.append(
            f"{contender['parameters']:,} parameters, {escape(contender['precision'])} on"
            f" {escape(contender['device'])}, weights sha256 <code>{contender['sha256']}</code>"
        )
    parts += [escape(f"{k} {v}") for k, v in contender.get("versions", {}).items()]
    return "; ".join(parts)
