"""`mdn compare`: two pictures, and perhaps the true one, as a page to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdn.compare import numbers, pictures
from mdn.compare.page import page
from mdn.errors import UsageError
from mdn.io.atomic import write_bytes


@dataclass(frozen=True)
class Settings:
    """What `mdn compare` was asked for.

    Attributes:
        before, after: the files.
        truth: the true picture's file, or None.
        output: the page; None for one beside `after`.
        plane: which picture of a stack, counted from 0; None for the middle one.
        crop: left, top, width and height of the part that is shown, or None.
        overwrite: it may replace a file.
    """

    before: str
    after: str
    truth: str | None = None
    output: Path | None = None
    plane: int | None = None
    crop: tuple[int, int, int, int] | None = None
    overwrite: bool = False

    @property
    def target(self) -> Path:
        """Where the page goes."""
        after = Path(self.after)
        return self.output or after.with_name(f"{after.stem}_compare.html")


def run(settings: Settings) -> dict[str, Any]:
    """Write the page; all its numbers, JSON-able.

    Raises:
        UsageError: the page cannot be written there, or the pictures do not fit each other.
        FileError: a file cannot be read or written.
    """
    target = settings.target
    _check(settings, target)
    files = [settings.before, settings.after, *([settings.truth] if settings.truth else [])]
    found = [
        pictures.read(file, role, settings.plane)
        for file, role in zip(files, pictures.ROLES, strict=False)
    ]
    pictures.check(found)
    span = pictures.range_of(found)
    shown, said = pictures.cropped(found, settings.crop)
    sentences = [*_how(found[0], span), *([said] if said else [])]
    measured = numbers.measure(found, span)
    write_bytes(target, page(shown, span, measured, sentences).encode())
    return measured | {"output": str(target), "notes": sentences}


def _check(settings: Settings, target: Path) -> None:
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"-o {target}: name a file that ends in .html")
    if target.exists() and not settings.overwrite:
        raise UsageError(f"{target} exists already: give --overwrite or another name with -o")


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
