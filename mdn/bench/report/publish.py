"""What a benchmark leaves for people: plots as PNG, and one HTML file."""

from __future__ import annotations

import io as bytes_io
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdn import plots
from mdn.bench.report import figures, pages, sheet_files
from mdn.bench.report.sheet_files import Sheet
from mdn.errors import FileError, UsageError
from mdn.io.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS, PLOTS = "results.json", "plots"
MARK = b"<title>Denoising benchmark"  # a file of ours may be replaced, another's may not


def check(report: Path | None, with_plots: bool, folder: Path | None) -> None:
    """Refuses what cannot be written, before an hour of work and not after it.

    Raises UsageError: plots without a folder or without matplotlib; a report that would replace a
    file that is none, or whose folder does not exist.
    """
    if with_plots and folder is None:
        raise UsageError("--plots needs a folder: -o DIR")
    if with_plots and plots.missing():
        raise UsageError(f"--{plots.missing()}")
    if report is None:
        return
    if report.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--report {report}: name a file that ends in .html")
    place = report.absolute().parent
    if not place.is_dir() and (folder is None or place != folder.absolute()):
        raise UsageError(f"--report {report}: there is no folder {report.parent}")
    try:
        taken = report.exists() and MARK not in report.read_bytes()[:4096]
    except OSError as error:
        raise UsageError(f"--report {report}: {error.strerror}") from error
    if taken:
        raise UsageError(f"--report {report}: there is another file of that name; choose another")


def from_results(folder: Path, report: Path | None, with_plots: bool) -> list[Path]:
    """Report and plots of a finished run, from its folder alone; the files written.

    Raises:
        UsageError: nothing was asked for; see also `check`.
        FileError: the folder holds no results, or a file cannot be written.
    """
    if report is None and not with_plots:
        raise UsageError("--from DIR needs something to make: --report FILE.html, --plots")
    check(report, with_plots, folder)
    try:
        text = (folder / RESULTS).read_text(encoding="utf-8")
        document = json.loads(text.replace('"contender', '"method'))  # their name in mdn 0.1
        sheets = sheet_files.load(folder, document.get("sheets", ()))
        return publish(document, sheets, report, folder if with_plots else None)
    except FileNotFoundError:
        raise FileError(folder / RESULTS, "does not exist", "make it: mdn bench -o DIR") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(folder / RESULTS, "is damaged", "run mdn bench -o DIR again") from error


def publish(
    document: dict[str, Any], sheets: Sequence[Sheet], report: Path | None, folder: Path | None
) -> list[Path]:
    """Writes the report, and into folder/plots the plots; None leaves out. The files written."""
    made: dict[Path, bytes] = {}
    if folder is not None:
        (folder / PLOTS).mkdir(parents=True, exist_ok=True)
        made |= {folder / PLOTS / f"{name}.png": png for name, png in all_drawn(document, sheets)}
    if report is not None:
        made[report] = pages.html(document, sheets).encode()
    for path, content in made.items():
        write_bytes(path, content)
    return list(made)


def all_drawn(document: dict[str, Any], sheets: Sequence[Sheet]) -> list[tuple[str, bytes]]:
    """Names and PNGs of all that can be drawn."""
    drawings = figures.drawings(document)
    for data in (each["name"] for each in document["data"]):
        mine = [sheet for sheet in sheets if sheet.data == data]
        drawings[f"pictures-{data}"] = partial(contact, mine)
    drawn = [(name, plots.as_png(draw)) for name, draw in drawings.items()]
    return [(name.replace("/", "_"), png) for name, png in drawn if png is not None]


def contact(sheets: Sequence[Sheet]) -> Figure | None:
    """A line by noise: the picture with its crop framed, then crop and error by method."""
    if not sheets:
        return None
    columns = 1 + max(len(sheet.tiles) for sheet in sheets)
    figure = plots.make(1.35 * columns, 2.9 * len(sheets))
    axes = figure.subplots(2 * len(sheets), columns, squeeze=False)
    for at in axes.flat:
        at.axis("off")
    for line, sheet in enumerate(sheets):
        upper, lower = axes[2 * line], axes[2 * line + 1]
        _overview(upper[0], sheet)
        for at, below, tile in zip(upper[1:], lower[1:], sheet.tiles, strict=False):
            value = "" if tile.value is None else f"\n{tile.value:.{sheet.digits}f}"
            at.set_title(f"{tile.name}{value}", fontsize=7, weight="normal")
            at.imshow(_pixels(tile.image), interpolation="nearest")
            if tile.error:
                below.imshow(_pixels(tile.error), interpolation="nearest")
    return figure


def _overview(at: Any, sheet: Sheet) -> None:
    from matplotlib.patches import Rectangle

    width, height = sheet.size
    left, top, side = sheet.box
    at.imshow(_pixels(sheet.overview), extent=(0, width, height, 0))
    at.add_patch(Rectangle((left, top), side, side, fill=False, edgecolor="white", lw=1.2))
    at.set_title(f"{sheet.noise}\n{sheet.picture.rpartition('/')[2]}", fontsize=7)


def _pixels(png: bytes) -> Any:
    from PIL import Image

    return Image.open(bytes_io.BytesIO(png))
