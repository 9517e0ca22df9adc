"""What lies in a folder or matches a pattern: the images, and what is left out and why."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mdn.errors import FileError
from mdn.io import RENDERS, STORES
from mdn.io.foreign import by_suffix
from mdn.io.zarr.stack import is_store

Listed = tuple[Path, Path]  # a file, and where it goes below an output folder


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
        elif (known := by_suffix(path)) and path.is_file():
            self.leave_out("file", f"{suffix} is {known[0]}; {known[1]}")


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
    seen: set[str] = set()
    for match in matches:
        place = place_of(Path(match))
        if place not in seen:
            seen.add(place)
            yield match


def place_of(path: Path) -> str:
    """The directory entry that `path` means: links in its folders are followed, it is not."""
    return str(Path(os.path.realpath(path.parent)) / path.name)
