"""A page for the repository: models and baselines on the standard sets, as Markdown and pictures.

Unlike a report it is short and small: means only, the plots as few-coloured PNG, contact sheets as
JPEG, so that it can be committed.
"""

from __future__ import annotations

import io as bytes_io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mdn.bench.report import pages, publish
from mdn.bench.report.sheet_files import Sheet
from mdn.io.atomic import write_bytes

Document = Mapping[str, Any]
FOLDER = "bench"  # beside the page
COLOURS, QUALITY, WIDTH = 64, 70, 900


def write(document: Document, sheets: Sequence[Sheet], target: Path, again: str) -> list[Path]:
    """The page and its pictures, which go into a folder `bench` beside it; the files written.

    again: the command that rebuilds the page. Raises FileError where a file cannot be written.
    """
    folder = target.parent / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        f"{name}.{'jpg' if name.startswith('pictures-') else 'png'}": _small(name, png)
        for name, png in publish.all_drawn(dict(document), sheets)
    }
    for name, content in pictures.items():
        write_bytes(folder / name, content)
    by_stem = {name.rpartition(".")[0]: f"{FOLDER}/{name}" for name in pictures}
    text = pages.render("summary.md.j2", document, pictures=by_stem, again=again)
    write_bytes(target, text.encode())
    return [target, *(folder / name for name in pictures)]


def _small(name: str, png: bytes) -> bytes:
    from PIL import Image

    picture = Image.open(bytes_io.BytesIO(png)).convert("RGB")
    out = bytes_io.BytesIO()
    if not name.startswith("pictures-"):
        picture.quantize(COLOURS).save(out, "PNG", optimize=True)
        return out.getvalue()
    if picture.width > WIDTH:
        height = round(picture.height * WIDTH / picture.width)
        picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    picture.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()
