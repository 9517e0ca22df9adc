"""From what the user named - files, folders, patterns, `-` - to the images meant by it."""

import glob
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mdn.errors import FileError, UsageError
from mdn.io import FORMATS, RENDERS, STORES, SUFFIXES
from mdn.io.foreign import by_suffix, is_raw
from mdn.io.zarr import is_store

Listed = tuple[Path, Path]  # a file, and where it goes below an output folder


@dataclass(frozen=True)
class Input:
    """One input."""

    path: Path | None  # the file; None is standard input
    name: str  # what messages call it
    # where it goes below an output folder; keeps the tree of a folder that was named
    relative: Path
    problem: FileError | None = None  # why it cannot be read, if that is known already


@dataclass(frozen=True)
class LeftOut:
    """Things of one kind in one place that are not taken."""

    place: str  # the folder or pattern, as the user named it
    count: int  # how many
    kind: str  # "file" or "folder"
    reason: str  # why, and what to do

    def __str__(self) -> str:
        things = self.kind if self.count == 1 else f"{self.kind}s"
        return f"{self.place}: left out {self.count} {things}: {self.reason}"


@dataclass(frozen=True)
class Expansion:
    """The inputs, each once, in the order named, and what was left out."""

    inputs: tuple[Input, ...]
    left_out: tuple[LeftOut, ...]
    folders: bool  # some input named a folder or a pattern, so there may be any number of files


# --- folders and patterns ----------------------------------------------------------------------


class Listing:
    """The images of one folder or pattern.

    Args:
        place: the folder or pattern, as the user named it.
        suffixes: what counts as an image.

    Attributes:
        images: each with its path relative to the folder.
        problems: what should have been taken and cannot be read.
    """

    def __init__(self, place: str, suffixes: frozenset[str]) -> None:
        self.place, self._suffixes = place, suffixes
        self.images: list[Listed] = []
        self.problems: list[FileError] = []
        self._left_out: Counter[tuple[str, str]] = Counter()  # by kind and reason

    @property
    def left_out(self) -> list[LeftOut]:
        """What was left out, one entry for each reason."""
        return [
            LeftOut(self.place, count, kind, reason)
            for (kind, reason), count in self._left_out.items()
        ]

    def leave_out(self, kind: str, reason: str, count: int = 1) -> None:
        """Counts something that is not taken."""
        if count:
            self._left_out[kind, reason] += count

    def offer(self, path: Path, relative: Path) -> None:
        """Takes a file that is an image; counts one that people would take for one."""
        suffix = path.suffix.lower()
        if suffix in self._suffixes:
            if path.is_file() or is_store(path):
                self.images.append((path, relative))
            elif not path.exists():
                self.problems.append(FileError(path, "is a link to nothing", "remove or mend it"))
            elif not path.is_dir():
                self.leave_out("file", "not regular files, but pipes or devices")
        elif suffix in RENDERS | STORES:
            self.leave_out("file", f"{suffix} is read by mdn denoise")
        elif (foreign := by_suffix(path)) and path.is_file():
            self.leave_out("file", f"{suffix} is {foreign[0]}; {foreign[1]}")


def list_folder(
    text: str, recursive: bool, output_folder: Path | None, suffixes: frozenset[str]
) -> Listing:
    """The images below a folder, sorted. Hidden files and folders count as nothing.

    Links to folders are not followed, so that no loop is walked.

    Args:
        text: the folder.
        recursive: look into its folders.
        output_folder: left out where it lies below.
        suffixes: what counts as an image.
    """
    root, listing = Path(text), Listing(text, suffixes)
    barred = None
    if output_folder is not None and output_folder.resolve() != root.resolve():
        barred = output_folder.resolve()

    def unreadable(error: OSError) -> None:
        # An unreadable root is reported by the caller.
        if error.filename is not None and Path(error.filename) != root:
            reason = (error.strerror or "cannot be read").lower()
            remedy = "check who may read this folder"
            listing.problems.append(FileError(error.filename, reason, remedy))

    for folder, folders, files in os.walk(root, onerror=unreadable):
        here = Path(folder)
        stores = sorted(name for name in folders if is_store(here / name))
        inner = sorted(set(folders) - set(stores))
        inner = [name for name in inner if not name.startswith(".")]
        inner = [name for name in inner if barred is None or (here / name).resolve() != barred]
        links = [name for name in inner if (here / name).is_symlink()]
        if recursive:
            listing.leave_out("folder", "links are not followed; name one to take it", len(links))
        else:
            listing.leave_out("folder", "-r looks into folders too", len(inner))
        folders[:] = [name for name in inner if recursive and name not in links]
        for name in sorted([*files, *stores]):
            if not name.startswith("."):
                listing.offer(here / name, (here / name).relative_to(root))
    return listing


def list_pattern(text: str, suffixes: frozenset[str]) -> Listing:
    """The images that match a pattern (`*`, `?`, `[...]`, `**`), sorted."""
    listing = Listing(text, suffixes)
    for match in sorted(_distinct(glob.iglob(text, recursive=True))):
        listing.offer(Path(match), Path(Path(match).name))
    return listing


def _distinct(matches: Iterable[str]) -> Iterator[str]:
    """Without the many ways that a loop of links leads to one file."""
    places: set[str] = set()
    for match in matches:
        place = place_of(Path(match))
        if place not in places:
            places.add(place)
            yield match


def place_of(path: Path) -> str:
    """The directory entry that `path` means: links in its folders are followed, it is not."""
    return str(Path(os.path.realpath(path.parent)) / path.name)


# --- what was named ----------------------------------------------------------------------------


def expand(
    inputs: Iterable[str],
    *,
    listed: Iterable[str] = (),
    recursive: bool = False,
    former: re.Pattern[str] | None = None,
    output_folder: Path | None = None,
    suffixes: frozenset[str] = SUFFIXES,
) -> Expansion:
    """The images that `inputs` mean.

    Args:
        inputs: files, folders, patterns (`*`, `?`, `[...]`, `**`), or `-` for standard input.
        listed: files as a list names them; see `read_list`.
        recursive: look into the folders of a folder.
        former: matches the stem of a file that an earlier run wrote; such files are left out of
            folders and patterns, and a note says so.
        output_folder: where results go; when it lies below an input folder it is left out too.
        suffixes: what counts as an image in folders and patterns.

    Raises UsageError: `-` is given twice.
    """
    entries: list[Input] = []
    left_out: list[LeftOut] = []
    several = False
    for text in inputs:
        if text == "-":
            entries.append(Input(None, "stdin", Path("stdin")))
        elif is_folder(text):
            several = True
            listing = list_folder(text, recursive, output_folder, suffixes)
            images, rest = _inputs_of(listing, former, _why_empty(Path(text), recursive))
            entries, left_out = entries + images, left_out + rest
        elif not os.path.lexists(text) and glob.has_magic(text):
            several = True
            # Raw files of a folder lie beside their JPEGs: they are meant where they are named.
            named = {Path(text).suffix.lower()} if is_raw(Path(text)) else set()
            listing = list_pattern(text, suffixes | named)
            images, rest = _inputs_of(listing, former, "no image matches this pattern")
            entries, left_out = entries + images, left_out + rest
        else:
            entries.append(_named(text))
    for text in listed:
        several = True
        entries.append(replace(_named(text), relative=_mirrored(text)))
    if sum(item.path is None for item in entries) > 1:
        raise UsageError("standard input (-) is given twice: it can be read once")
    return Expansion(tuple(_once(entries)), tuple(left_out), several)


def _named(text: str) -> Input:
    path = Path(text)
    problem = None
    if not text:
        problem = FileError("''", "is an empty name", "name an image, a folder or a pattern")
    try:
        mode = path.stat().st_mode
        if text and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            # A pipe without a writer would be waited for without end.
            problem = FileError(text, "is not a regular file", "pipe it in and name it -")
    except FileNotFoundError:
        problem = FileError(text, "no such file", "check the name")
    except OSError as error:
        problem = FileError(text, (error.strerror or "cannot be read").lower(), "check the name")
    return Input(path, text, Path(path.name), problem=problem)


def _mirrored(text: str) -> Path:
    """Where a listed file goes below an output folder: as it is named, unless it leads out."""
    path = Path(text)
    return Path(path.name) if path.is_absolute() or ".." in path.parts else path


def _why_empty(root: Path, recursive: bool) -> str:
    if not os.access(root, os.R_OK | os.X_OK):
        return "permission denied: check who may read this folder"
    return "no images in this folder" + ("" if recursive else "; -r looks into its folders too")


def is_folder(text: str) -> bool:
    """Whether a folder of that name is there, and no store, which is one input for all its files.

    A folder that may not be looked at counts as none; so does an empty name, which a script's unset
    variable leaves.
    """
    try:
        return bool(text) and Path(text).is_dir() and not is_store(Path(text))
    except OSError:
        return False


def _inputs_of(
    listing: Listing, former: re.Pattern[str] | None, empty: str
) -> tuple[list[Input], list[LeftOut]]:
    """The inputs that a folder or a pattern gives, and what of it is left out.

    Args:
        listing: what is there.
        former: matches the stem of a file that an earlier run wrote, or None.
        empty: what is wrong where there is no image.
    """
    text = listing.place
    remaining = [
        pair for pair in listing.images if former is None or not former.search(pair[0].stem)
    ]
    earlier = "written by an earlier run; name a file to take it"
    listing.leave_out("file", earlier, len(listing.images) - len(remaining))
    entries = [Input(path, str(path), relative) for path, relative in remaining]
    for problem in listing.problems:
        path = Path(problem.name)
        entries.append(Input(path, problem.name, Path(path.name), problem=problem))
    if not entries:
        why = "nothing here but what an earlier run wrote" if listing.images else empty
        entries = [Input(Path(text), text, Path(), problem=FileError(text, why))]
    return entries, listing.left_out


def _once(entries: list[Input]) -> Iterable[Input]:
    places: set[str] = set()
    for item in entries:
        place = "-" if item.path is None else place_of(item.path)
        if place not in places:
            places.add(place)
            yield item


def read_list(name: str) -> list[str]:
    """The names that a list holds, in its order.

    name: the list, or - for standard input. Where it holds a NUL, names end at NULs and may hold
    line breaks; else each line is one. A name is taken as it stands: no patterns, no comments.
    Raises UsageError: it cannot be read, is a picture, or holds no name.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as problem:
        reason = (problem.strerror or "cannot be read").lower()
        raise UsageError(f"--from-file {name}: {reason}") from None
    if _is_picture(data):
        raise UsageError(f"--from-file {name}: is a picture; name it without --from-file")
    parts = data.split(b"\0") if b"\0" in data else data.splitlines()
    names = [os.fsdecode(part) for part in parts if part.strip()]
    if not names:
        raise UsageError(f"--from-file {name}: holds no names; write one a line")
    return names


def _is_picture(data: bytes) -> bool:
    form = next((name for name, form in FORMATS.items() if form.recognises(data)), None)
    # "BM", by which BMP is known, may begin a name. No name is empty, but BMP's header has NULs.
    return form is not None and (form != "bmp" or b"\0\0" in data[:18])
