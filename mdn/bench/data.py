"""What a benchmark measures on: folders of clean pictures, of noisy / clean pairs, of renders.

`skimage`, where no folder is called so, stands for photographs that come with scikit-image.
"""

import difflib
import hashlib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdn import io
from mdn.bench import renders
from mdn.errors import FileError, UsageError
from mdn.public_pictures import SKIMAGE, skimage_photographs

ROOT_VARIABLE = "MDN_TEST_DATA"  # the folder with the data sets, or whose test/ holds them
TEST = "test"  # the part of PICTURES (docs/bench.md) that is measured on
PAIR_FOLDERS = ("noisy", "gt")


@dataclass(frozen=True)
class BenchImage:
    """One picture of a data set."""

    name: str  # what messages call it: data set / file
    truth: Path  # the clean file
    noisy: Path | None = None  # the noisy file of a pair; None where noise is to be added
    spp: int | None = None  # samples per pixel of a noisy render; None for other pictures


@dataclass(frozen=True)
class DataSet:
    """A folder's pictures."""

    name: str  # of the folder; what rows call the set
    pictures: tuple[BenchImage, ...]  # sorted by file name
    pairs: bool  # the noise is in the files
    failures: tuple[str, ...] = ()  # files that are no half of a pair, one line each
    renders: bool = False  # the files hold linear light; pairs, too

    @property
    def spp(self) -> tuple[int, ...]:
        """The samples per pixel of its noisy renders, ascending."""
        return tuple(sorted({image.spp for image in self.pictures if image.spp is not None}))


def default_root() -> Path | None:
    """Where short names of data sets are looked up when --root is not given."""
    home = os.environ.get(ROOT_VARIABLE)
    return Path(home) if home else None


def open_sets(names: Iterable[str], root: Path | None, limit: int | None) -> tuple[DataSet, ...]:
    """The data sets that `names` mean, each cut to its first `limit` pictures.

    Raises UsageError: there is no such folder (offers the nearest), it holds no picture, or two
    folders have one name.
    """
    sets = tuple(_set(name, root, limit) for name in dict.fromkeys(names))
    titles = [data.name for data in sets]
    if twice := [name for name in titles if titles.count(name) > 1]:
        raise UsageError(f"two folders of data are called {twice[0]}: rename one")
    return sets


def _set(name: str, root: Path | None, limit: int | None) -> DataSet:
    """The data set of one name. Raises UsageError as `open_sets`."""
    if name != SKIMAGE or Path(name).exists():
        return _open(_folder(name, root), limit)
    pictures = [BenchImage(f"{name}/{path.name}", path) for path in skimage_photographs()]
    return DataSet(name, tuple(pictures[:limit]), pairs=False)


def _folder(name: str, root: Path | None) -> Path:
    """The folder of that name, here or in the root. Raises UsageError as `open_sets`."""
    if not name:
        raise UsageError("--data has an empty name in it; write --data DIR,DIR")
    if Path(name).is_dir():
        return Path(name)
    if Path(name).is_file():
        raise UsageError(f"--data {name} is a file; name a folder of pictures")
    roots = [] if root is None else [root / TEST, root]
    for place in roots:
        if (place / name).is_dir():
            return place / name
    beside = {folder.name: str(folder) for folder in _folders(Path(name).parent)}
    if near := difflib.get_close_matches(Path(name).name, beside, n=3, cutoff=0.5):
        offer = ", ".join(beside[match] for match in near)
        raise UsageError(f"no folder {name}; did you mean {offer}?")
    if root is None:
        raise UsageError(
            f"no folder {name}; short names of data sets need --root DIR, or {ROOT_VARIABLE} set;"
            f" --data {SKIMAGE} needs neither"
        )
    there = [folder.name for place in roots for folder in _folders(place)]
    near = difflib.get_close_matches(name.lower(), there, n=3, cutoff=0.4) or there
    offer = f"; did you mean {', '.join(near)}?" if near else ""
    raise UsageError(f"no folder {name}, nor one in {root}{offer}")


def _folders(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.is_dir())
    except OSError:
        return []


def _open(folder: Path, limit: int | None) -> DataSet:
    name = folder.resolve().name
    if (data := _renders(folder, name, limit)) is not None:
        return data
    if all((folder / half).is_dir() for half in PAIR_FOLDERS):
        pictures, failures = _pairs(folder, name)
    else:
        pictures = [BenchImage(f"{name}/{path.name}", path) for path in _files(folder)]
        failures = []
    if not pictures and not failures:
        raise UsageError(
            f"{folder} holds no pictures, no folders noisy and gt of pairs, no renders"
        )
    pairs = any(picture.noisy for picture in pictures) or bool(failures)
    return DataSet(name, tuple(pictures[:limit]), pairs, tuple(failures))


def _renders(folder: Path, name: str, limit: int | None) -> DataSet | None:
    """The EXR files of a folder, where their names say samples per pixel; else None.

    limit: of scenes.
    """
    pairs, alone = renders.find_pairs(_files(folder, (".exr",)))
    if not pairs and not alone:
        return None
    scenes = list(dict.fromkeys(pair.scene for pair in pairs))[:limit]
    pictures = tuple(
        BenchImage(f"{name}/{pair.noisy.name}", pair.reference, pair.noisy, pair.spp)
        for pair in pairs
        if pair.scene in scenes
    )
    failures = tuple(
        f"{name}/{path.name}: has no partner; a scene needs SCENE_SPP.exr and a reference"
        for path in alone
    )
    return DataSet(name, pictures, True, failures, renders=True)


def _pairs(folder: Path, name: str) -> tuple[list[BenchImage], list[str]]:
    """Files of one stem in noisy/ and gt/, and a line for each that stands alone."""
    (noisy, first), (truth, second) = (_by_stem(folder / half) for half in PAIR_FOLDERS)
    pictures = [
        BenchImage(f"{name}/{path.name}", truth[stem], path)
        for stem, path in noisy.items()
        if stem in truth
    ]
    failures = [
        f"{name}/{half}/{path.name}: there is another file of that name, of another format"
        for half, twice in zip(PAIR_FOLDERS, (first, second), strict=True)
        for path in twice
    ]
    for half, other, mine, theirs in (("noisy", "gt", noisy, truth), ("gt", "noisy", truth, noisy)):
        failures += [
            f"{name}/{half}/{path.name}: has no partner in {other}/; add it, or take this file away"
            for stem, path in mine.items()
            if stem not in theirs
        ]
    return pictures, failures


def _by_stem(folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """Files by stem, and those whose stem another file has."""
    files: dict[str, Path] = {}
    twice = [path for path in _files(folder) if files.setdefault(path.stem, path) != path]
    return files, twice


def _files(folder: Path, suffixes: Collection[str] = io.SUFFIXES) -> list[Path]:
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in suffixes and path.is_file() and path.name[0] != "."
        )
    except OSError as error:
        raise UsageError(f"{folder} cannot be listed: {error.strerror}") from error


@dataclass(frozen=True)
class Pixels:
    """What is in a picture's files."""

    truth: np.ndarray  # the clean page, (H, W, C) as stored; linear light of renders
    noisy: np.ndarray | None  # the noisy one; None where noise is to be added
    render: renders.Render | None = None  # the noisy render with its guides; else None


def read(picture: BenchImage) -> Pixels:
    """The pages of a picture.

    Raises FileError: unreadable, more than one page, floats outside 0..1, or halves that differ.
    """
    if picture.noisy is None:
        return Pixels(_page(picture.truth, picture.name), None)
    render = None
    if picture.spp is not None:
        render = renders.read(picture.noisy, picture.name)
        noisy, truth = render.beauty, renders.read(picture.truth, picture.truth.name).beauty
    else:
        truth, noisy = (_page(path, picture.name) for path in (picture.truth, picture.noisy))
    if noisy.shape != truth.shape:
        sizes = ["{1}x{0}x{2}".format(*page.shape) for page in (noisy, truth)]
        problem = "the halves of the pair differ: noisy is {}, gt is {}".format(*sizes)
        raise FileError(picture.name, problem, "cut them to one size")
    return Pixels(truth, noisy, render)


def _page(path: Path, name: str) -> np.ndarray:
    pages = io.read_image(path, name=name).pixels
    if len(pages) != 1:
        raise FileError(name, f"has {len(pages)} pages", "save each as a picture of its own")
    if pages.dtype.kind == "f" and not (pages.min() >= 0 and pages.max() <= 1):
        raise FileError(name, "has values outside 0..1, where white is 1", "scale it first")
    return pages[0]


def digest(path: Path) -> str:
    """sha256 of a file, hexadecimal. Raises FileError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from error
