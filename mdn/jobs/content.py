"""What a file holds, told by its size and time, or by its hash. A store counts as all its files."""

import hashlib
from pathlib import Path
from typing import NamedTuple


class Content(NamedTuple):
    """What is recorded of a file, or of all files of a folder: bytes, time of change, hash."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Content":
        """A file as it is now. Raises OSError: it cannot be read."""
        return cls(*stamp(path), digest(path))

    def holds(self, path: Path) -> bool:
        """Whether a file is still so; its content is read only where its time differs."""
        try:
            size, changed = stamp(path)
            same = size == self.size
            return same and (changed == self.mtime_ns or digest(path) == self.sha256)
        except OSError:
            return False


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of change in ns; of a folder: their sum and maximum over its files.

    Raises OSError: it cannot be looked at.
    """
    files = [file.stat() for file in _files(path)]
    return sum(file.st_size for file in files), max((file.st_mtime_ns for file in files), default=0)


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the names and digests of its files.

    Raises OSError: it cannot be read.
    """
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in _files(path):
        name = file.relative_to(path).as_posix()
        whole.update(f"{name}\0{digest(file)}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _files(path: Path) -> list[Path]:
    """A file itself, or all files of a folder in a fixed order."""
    return sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
