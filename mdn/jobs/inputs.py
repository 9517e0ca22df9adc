"""From what the user named - files, folders, patterns, `-` - to the images meant by it."""

import glob
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from mdn.errors import FileError, UsageError
from mdn.io import FORMATS, RENDERS, STORES, SUFFIXES
from mdn.io.foreign import by_suffix, is_raw
from mdn.io.zarr.stack import is_store

Item = TypeVar("Item")


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
    """

    def __init__(self, place: str, suffixes: frozenset[str]) -> None:
        self.place, self._suffixes = place, suffixes
        self._images: list[Input] = []
        self._problems: list[Input] = []  # what should have been taken and cannot be read
        self._left_out: Counter[tuple[str, str]] = Counter()  # by kind and reason

    def leave_out(self, kind: str, reason: str, count: int = 1) -> None:
        """Counts something that is not taken."""
        if count:
            self._left_out[kind, reason] += count

    def refuse(self, problem: FileError) -> None:
        """Takes what will be reported in its turn."""
        path = Path(problem.name)
        self._problems.append(Input(path, problem.name, Path(path.name), problem))

    def offer(self, path: Path, relative: Path) -> None:
        """Takes a file that is an image; counts one that people would take for one."""
        suffix = path.suffix.lower()
        if suffix in self._suffixes:
            if path.is_file() or is_store(path):
                self._images.append(Input(path, str(path), relative))
            elif not path.exists():
                self.refuse(FileError(path, "is a link to nothing", "remove or mend it"))
            elif not path.is_dir():
                self.leave_out("file", "not regular files, but pipes or devices")
        elif suffix in RENDERS | STORES:
            self.leave_out("file", f"{suffix} is read by mdn denoise")
        elif (foreign := by_suffix(path)) and path.is_file():
            self.leave_out("file", f"{suffix} is {foreign[0]}; {foreign[1]}")

    def inputs(self, former: re.Pattern[str] | None, empty: str) -> list[Input]:
        """The inputs that it gives.

        former: matches the stem of a file that an earlier run wrote, or None; those are left out.
        empty: what is wrong where there is no image.
        """
        stems = [Path(image.name).stem for image in self._images]
        old = [bool(former and former.search(stem)) for stem in stems]
        new = [image for image, is_old in zip(self._images, old, strict=True) if not is_old]
        earlier = "written by an earlier run; name a file to take it"
        self.leave_out("file", earlier, sum(old))
        if new or self._problems:
            return [*new, *self._problems]
        why = "nothing here but what an earlier run wrote" if self._images else empty
        return [Input(Path(self.place), self.place, Path(), FileError(self.place, why))]

    def left_out(self) -> list[LeftOut]:
        """What was left out, one entry for each reason."""
        return [
            LeftOut(self.place, count, kind, reason)
            for (kind, reason), count in self._left_out.items()
        ]


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
            listing.refuse(FileError(error.filename, reason, "check who may read this folder"))

    for folder, folders, files in os.walk(root, onerror=unreadable):
        here = Path(folder)
        stores = sorted(name for name in folders if is_store(here / name))
        inner = sorted(name for name in set(folders) - set(stores) if not name.startswith("."))
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
    # Raw files of a folder lie beside their JPEGs: they are meant where they are named.
    named = {Path(text).suffix.lower()} if is_raw(Path(text)) else set()
    listing = Listing(text, suffixes | named)
    # A loop of links leads to one file in many ways.
    matches = _each_once(glob.iglob(text, recursive=True), lambda match: place_of(Path(match)))
    for match in sorted(matches):
        listing.offer(Path(match), Path(Path(match).name))
    return listing


def _each_once(items: Iterable[Item], place: Callable[[Item], str]) -> list[Item]:
    """The first item of each place."""
    first: dict[str, Item] = {}
    for item in items:
        first.setdefault(place(item), item)
    return list(first.values())


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
            continue
        if is_folder(text):
            listing = list_folder(text, recursive, output_folder, suffixes)
            deeper = "" if recursive else "; -r looks into its folders too"
            empty = f"no images in this folder{deeper}"
            if not os.access(text, os.R_OK | os.X_OK):
                empty = "permission denied: check who may read this folder"
        elif not os.path.lexists(text) and glob.has_magic(text):
            listing, empty = list_pattern(text, suffixes), "no image matches this pattern"
        else:
            entries.append(_named(text))
            continue
        several = True
        entries += listing.inputs(former, empty)
        left_out += listing.left_out()
    for text in listed:
        several = True
        item, path = _named(text), Path(text)
        # As it is named, unless it leads out of an output folder.
        out = path.is_absolute() or ".." in path.parts
        entries.append(item if out else replace(item, relative=path))
    if sum(item.path is None for item in entries) > 1:
        raise UsageError("standard input (-) is given twice: it can be read once")
    once = _each_once(entries, lambda item: "-" if item.path is None else place_of(item.path))
    return Expansion(tuple(once), tuple(left_out), several)


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


def is_folder(text: str) -> bool:
    """Whether a folder of that name is there, and no store, which is one input for all its files.

    A folder that may not be looked at counts as none; so does an empty name, which a script's unset
    variable leaves.
    """
    try:
        return bool(text) and Path(text).is_dir() and not is_store(Path(text))
    except OSError:
        return False


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
    form = next((name for name, form in FORMATS.items() if form.recognises(data)), None)
    # "BM", by which BMP is known, may begin a name. No name is empty, but BMP's header has NULs.
    if form is not None and (form != "bmp" or b"\0\0" in data[:18]):
        raise UsageError(f"--from-file {name}: is a picture; name it without --from-file")
    parts = data.split(b"\0") if b"\0" in data else data.splitlines()
    names = [os.fsdecode(part) for part in parts if part.strip()]
    if not names:
        raise UsageError(f"--from-file {name}: holds no names; write one a line")
    return names
