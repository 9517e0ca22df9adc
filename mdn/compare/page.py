"""One HTML file that opens offline: pictures, style and script are all inside."""

import base64
import io as streams
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mdn import metrics
from mdn.compare.pictures import Picture, Range

TEMPLATE = "page.html.j2"
# How far the page stretches a difference at first: until it is so strong on the 0-255 scale.
VISIBLE, MOST_GAIN = 64, 64


def page(
    pictures: Sequence[Picture], span: Range, numbers: Mapping[str, Any], said: Sequence[str]
) -> str:
    """The page.

    Args:
        pictures: before, after and perhaps the truth, cut to what is shown.
        span: the values shown as black and white.
        numbers: of `numbers.measure`.
        said: sentences on how the pictures are shown.
    """
    from jinja2 import Environment

    template = (files("mdn.compare") / TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    height, width = pictures[0].stored.shape[:2]
    return environment.from_string(template).render(
        pictures=[
            {"role": each.role, "name": Path(each.name).name, "data": data_url(span.encode(each))}
            for each in pictures
        ],
        width=width,
        height=height,
        rows=rows([each.role for each in pictures], numbers),
        change=numbers["change"],
        gain=round(min(MOST_GAIN, max(1, VISIBLE / max(numbers["change"]["rms"], 1e-6)))),
        said=said,
    )


def rows(roles: Sequence[str], numbers: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """The table: a title, and one cell for each picture."""
    each = [numbers[role] for role in roles]
    table = [
        ("size", [f"{n['width']} x {n['height']}, {n['dtype']}" for n in each]),
        ("noise, estimated (0-255)", [f"{n['noise']:.1f}" for n in each]),
        ("mean brightness (0-255)", [f"{n['brightness']:.1f}" for n in each]),
    ]
    if len(roles) > 2:
        for name in (key for key in each[0] if key in metrics.METRICS):
            metric = metrics.get(name)
            better = "lower" if metric.lower else "higher"
            cells = [_number(n.get(name), metric.digits) for n in each[:2]]
            table.append((f"{metric.title} against the truth ({better} is better)", [*cells, ""]))
    return table


def _number(value: float | None, digits: int) -> str:
    return "too small" if value is None else f"{value:.{digits}f}"


def data_url(values: np.ndarray) -> str:
    """(H, W, 1 or 3), 0..1 -> a PNG of 8 bits as a data: address."""
    shown = np.rint(255 * values).astype(np.uint8)
    stream = streams.BytesIO()
    Image.fromarray(shown[..., 0] if shown.shape[-1] == 1 else shown).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
