"""What a file holds, told by its size and time, or by its hash. A store counts as all its files."""

import contextlib
import hashlib
from pathlib import Path
from typing import NamedTuple


class Content(NamedTuple):
    """What a file holds, or all files of a folder, such as a Zarr: bytes, time of change, hash."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Content":
        """A file as it is now. Raises OSError: it cannot be read."""
        return cls(*stamp(path), digest(path))

    def holds(self, path: Path) -> bool:
        """Whether a file is still so; its content is read only where its time differs."""
        with contextlib.suppress(OSError):
            size, time_ns = stamp(path)
            return size == self.size and (time_ns == self.mtime_ns or digest(path) == self.sha256)
        return False


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of change in ns; of a folder: sum and maximum. Raises OSError."""
    files = [file.stat() for file in _files(path)]
    return sum(file.st_size for file in files), max((file.st_mtime_ns for file in files), default=0)


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the names and digests of its files. Raises OSError."""
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    lines = (f"{file.relative_to(path).as_posix()}\0{digest(file)}\n" for file in _files(path))
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
