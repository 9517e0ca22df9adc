"""`mdn compare`: two pictures, and perhaps the true one, as a page to look at."""

from pathlib import Path
from typing import Any

from mdn.compare import numbers, pictures
from mdn.compare.page import page
from mdn.errors import UsageError
from mdn.io.atomic import write_bytes


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
        before, after, truth: the files.
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
    files = [before, after, *([truth] if truth else [])]
    found = [
        pictures.read(file, role, plane) for file, role in zip(files, pictures.ROLES, strict=False)
    ]
    pictures.check(found)
    span = pictures.range_of(found)
    shown, said = pictures.cropped(found, crop)
    sentences = [*_how(found[0], span), *([said] if said else [])]
    measured = numbers.measure(found, span)
    write_bytes(target, page(shown, span, measured, sentences).encode())
    return measured | {"output": str(target), "notes": sentences}


def _how(picture: pictures.Picture, span: pictures.Range) -> list[str]:
    """How the pictures are shown, in sentences."""
    said = []
    if picture.plane[1] > 1:
        said.append(f"Plane {picture.plane[0]} of {picture.plane[1]} is shown, counted from 0.")
    if picture.linear:
        said.append("Linear light is shown clipped to 0..1 and with gamma 2.2.")
    if span.stretched:
        said.append(
            f"The contrast is stretched: {span.black:.6g} is black and {span.white:.6g} is white,"
            " in all pictures and for all numbers."
        )
    elif picture.stored.dtype != "uint8":
        said.append("The page shows 8 bits of each sample; the numbers are of the whole depth.")
    return said
