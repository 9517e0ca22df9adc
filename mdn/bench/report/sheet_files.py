"""Contact sheets as data: pictures as PNG, with all that a page about them must say.

A sheet is a folder of plain PNG files and an index, so that people can use them one by one.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdn.io.atomic import write_bytes

FOLDER, INDEX = "sheets", "sheet.json"


@dataclass(frozen=True)
class Tile:
    """What one method made of the crop."""

    name: str  # the method, or "truth"
    kind: str  # input, model, baseline or truth
    image: bytes  # PNG
    error: bytes  # a map of the error, likewise; empty for the truth
    value: float | None  # the first metric on the whole picture, or None


@dataclass(frozen=True)
class Sheet:
    """One noise on one picture."""

    data: str
    noise: str
    picture: str
    metric: str  # title of the figure under each tile
    digits: int  # how many of its decimals are shown
    size: tuple[int, int]  # width and height of the picture
    box: tuple[int, int, int]  # left, top and side of the crop, pixels
    overview: bytes  # the true picture, reduced; PNG
    tiles: tuple[Tile, ...]  # the truth, the input, then the methods

    @property
    def slug(self) -> str:
        """The name of its folder."""
        return re.sub(r"[^\w.-]+", "_", f"{self.data}-{self.noise}")


def save(sheet: Sheet, folder: Path, key: str) -> None:
    """Its pictures and an index, in a folder of its own in folder/sheets.

    key: what it depends on; see `find`. Raises FileError where it cannot be written.
    """
    place = folder / FOLDER / sheet.slug
    if _index(place):  # an older sheet of ours, perhaps of other methods
        shutil.rmtree(place)
    place.mkdir(parents=True, exist_ok=True)
    files = {"overview.png": sheet.overview}
    tiles = []
    for number, tile in enumerate(sheet.tiles):
        stem = f"{number}-{re.sub(r'[^A-Za-z0-9_-]+', '_', tile.name)}"
        files[f"{stem}.png"] = tile.image
        if tile.error:
            files[f"{stem}.error.png"] = tile.error
        tiles.append({"name": tile.name, "kind": tile.kind, "value": tile.value, "file": stem})
    about = {k: v for k, v in vars(sheet).items() if k != "overview"} | {"key": key, "tiles": tiles}
    files[INDEX] = (json.dumps(about, indent=2) + "\n").encode()  # last: it makes the sheet whole
    for name, content in files.items():
        write_bytes(place / name, content)


def _index(place: Path) -> dict[str, Any]:
    try:
        return json.loads((place / INDEX).read_text())
    except (OSError, ValueError):
        return {}


def find(folder: Path, key: str) -> Sheet | None:
    """The sheet that was saved under that key, if it is whole."""
    for place in sorted((folder / FOLDER).glob("*")):
        if _index(place).get("key") == key:
            return _load(place)
    return None


def load(folder: Path, slugs: Sequence[str]) -> list[Sheet]:
    """The sheets of these names in a folder of results, as far as they are whole."""
    found = [_load(folder / FOLDER / Path(slug).name) for slug in slugs]
    return [sheet for sheet in found if sheet is not None]


def _load(place: Path) -> Sheet | None:
    """A sheet, or None where part of it is missing."""
    about = _index(place)
    try:
        tiles = []
        for each in about.pop("tiles"):
            stem = each.pop("file")
            error = place / f"{stem}.error.png"
            maps = error.read_bytes() if error.exists() else b""
            tiles.append(Tile(**each, image=(place / f"{stem}.png").read_bytes(), error=maps))
        del about["key"]
        about |= {"size": tuple(about["size"]), "box": tuple(about["box"])}
        return Sheet(**about, overview=(place / "overview.png").read_bytes(), tiles=tuple(tiles))
    except (KeyError, TypeError, OSError):
        return None
