"""`mdn compare`: two pictures, and perhaps the true one, measured and as a page to look at.

The page is one HTML file that opens offline: pictures, style and script are all inside.
"""

import base64
import html
import io as streams
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mdn import metrics
from mdn.commands import estimate
from mdn.compare import pictures
from mdn.compare.pictures import Range, View
from mdn.errors import UsageError
from mdn.io.atomic import write_bytes

TEMPLATE = "page.html"  # with places such as {{ title }} for what `page` fills in
TO_TRUTH = ("psnr", "ssim")
# How far the page stretches a difference at first: until it is so strong on the 0-255 scale.
VISIBLE, MOST_GAIN = 64, 64


def run(
    before: str,
    after: str,
    truth: str | None = None,
    output: Path | None = None,
    *,
    plane: int | None = None,
    crop: tuple[int, int, int, int] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the page; all its numbers, JSON-able.

    Args:
        output: the page; None for one beside `after`.
        plane: which picture of a stack, counted from 0; None for the middle one.
        crop: left, top, width and height of the part that is shown, in pixels.
        overwrite: the page may replace a file.

    Raises:
        UsageError: the page cannot be written there, or the pictures do not fit each other.
        FileError: a file cannot be read or written.
    """
    target = output or Path(after).with_name(f"{Path(after).stem}_compare.html")
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"-o {target}: name a file that ends in .html")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists already: give --overwrite or another name with -o")
    names = [before, after, *([truth] if truth else [])]
    views = [pictures.read(f, role, plane) for f, role in zip(names, pictures.ROLES, strict=False)]
    pictures.check(views)
    span = pictures.range_of(views)
    shown, cut = pictures.cropped(views, crop)
    sentences = [*_how(views[0], span), *([cut] if cut else [])]
    numbers = measure(views, span)
    write_bytes(target, page(shown, span, numbers, sentences).encode())
    return numbers | {"output": str(target), "notes": sentences}


def _how(view: View, span: Range) -> list[str]:
    """How the pictures are shown, in sentences."""
    sentences = []
    if view.plane[1] > 1:
        sentences.append(f"Plane {view.plane[0]} of {view.plane[1]} is shown, counted from 0.")
    if view.linear:
        sentences.append("Linear light is shown clipped to 0..1 and with gamma 2.2.")
    if view.hdr:
        sentences.append("HDR is shown as on a usual screen, and so are its numbers.")
    if span.stretched:
        sentences.append(
            f"The contrast is stretched: {span.black:.6g} is black and {span.white:.6g} is white,"
            " in all pictures and for all numbers."
        )
    elif view.stored.dtype != "uint8" and not view.hdr:
        sentences.append(
            "The page shows 8 bits of each sample; the numbers are of the whole depth."
        )
    return sentences


def measure(views: Sequence[View], span: Range) -> dict[str, Any]:
    """All numbers, JSON-able.

    Values are on the 0-255 scale of what is shown. The noise is an estimate from each picture
    alone. Scores compare with the truth, all pixels, without rounding.

    views: before, after and, if there is one, the truth.
    """
    values = [span.encode(view) for view in views]
    numbers: dict[str, Any] = {
        view.role: _alone(view, shown) for view, shown in zip(views, values, strict=True)
    }
    change = 255 * (values[1] - values[0])
    numbers["change"] = {
        "rms": round(float(np.sqrt(np.mean(change**2))), 3),
        "largest": round(float(np.abs(change).max()), 2),
        "pixels": round(float(np.any(change != 0, -1).mean()), 6),
        "mean": [round(float(channel), 3) for channel in change.mean((0, 1))],
    }
    if len(views) > 2:
        for view, shown in zip(views[:2], values, strict=False):
            numbers[view.role] |= _scores(view, shown, views[2], values[2])
    return numbers


def _alone(view: View, shown: np.ndarray) -> dict[str, Any]:
    noise, _ = estimate.of_page(shown, view.name)
    height, width = shown.shape[:2]
    return {
        "file": view.name,
        "width": width,
        "height": height,
        "dtype": str(view.stored.dtype),
        "plane": view.plane[0] if view.plane[1] > 1 else None,
        "noise": round(255 * noise.sigma, 2),
        "brightness": round(255 * float(shown.mean()), 2),
    }


def _scores(
    view: View, shown: np.ndarray, truth: View, target: np.ndarray
) -> dict[str, float | None]:
    protocol = metrics.PROTOCOLS["float"]
    scores = metrics.score(shown, target, TO_TRUTH, protocol)
    if view.linear:
        light = [side.stored.astype(np.float32) for side in (view, truth)]
        scores |= metrics.score(light[0], light[1], ("relmse",), protocol, linear=True)
    return {name: None if x is None else round(x, 4) for name, x in scores.items()}


def page(
    shown: Sequence[View], span: Range, numbers: Mapping[str, Any], notes: Sequence[str]
) -> str:
    """The page.

    Args:
        shown: before, after and perhaps the truth, cut to what is shown.
        notes: sentences on how the pictures are shown.
    """
    text = html.escape
    roles, names = [view.role for view in shown], [Path(view.name).name for view in shown]
    change = numbers["change"]
    summary = (
        f"Between before and after, {100 * change['pixels']:.1f} % of the pixels changed, by "
        f"{change['rms']:.2f} on average (root mean square, 0-255) and by {change['largest']:.0f} "
        "at most."
    )
    lines = [_line("th", ["", *roles])]
    lines += [_line("td", [title, *cells]) for title, cells in rows(roles, numbers)]
    height, width = shown[0].stored.shape[:2]
    parts = {
        "title": text(f"{names[0]} | {names[1]}"),
        "choices": "".join(
            f'<option value="{number}">{text(f"{role}: {name}")}</option>'
            for number, (role, name) in enumerate(zip(roles, names, strict=True))
        ),
        "table": "\n".join(lines),
        "sentences": "\n".join(f"<p>{text(sentence)}</p>" for sentence in [summary, *notes]),
        "pictures": ",\n".join(
            f'{{role: "{view.role}", data: "{data_url(span.encode(view))}"}}' for view in shown
        ),
        "width": str(width),
        "height": str(height),
        "gain": str(round(min(MOST_GAIN, max(1, VISIBLE / max(change["rms"], 1e-6))))),
    }
    template = (files("mdn.compare") / TEMPLATE).read_text(encoding="utf-8")
    return re.sub(r"\{\{ (\w+) \}\}", lambda place: parts[place[1]], template)


def _line(tag: str, cells: Sequence[str]) -> str:
    """A line of a table of HTML."""
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"


def rows(roles: Sequence[str], numbers: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """The table: a title, and one cell for each picture."""
    columns = [numbers[role] for role in roles]
    table = [
        ("size", [f"{n['width']} x {n['height']}, {n['dtype']}" for n in columns]),
        ("noise, estimated (0-255)", [f"{n['noise']:.1f}" for n in columns]),
        ("mean brightness (0-255)", [f"{n['brightness']:.1f}" for n in columns]),
    ]
    if len(roles) > 2:
        for name in (key for key in columns[0] if key in metrics.METRICS):
            metric = metrics.get(name)
            better = "lower" if metric.lower else "higher"
            figures = [n.get(name) for n in columns[:2]]
            cells = ["too small" if x is None else f"{x:.{metric.digits}f}" for x in figures]
            table.append((f"{metric.title} against the truth ({better} is better)", [*cells, ""]))
    return table


def data_url(values: np.ndarray) -> str:
    """(H, W, 1 or 3), 0..1 -> a PNG of 8 bits as a data: address."""
    shown = np.rint(255 * values).astype(np.uint8)
    stream = streams.BytesIO()
    Image.fromarray(shown[..., 0] if shown.shape[-1] == 1 else shown).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
