"""Unfinished files and folders: their names, their owners, and the removal of abandoned ones.

What mdn writes is called .mdn-HOST-RANDOM.part until it is complete. Its writer holds a lock on it:
a part without a lock was left behind by a run that was killed.
"""

import contextlib
import os
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

_PREFIX, _SUFFIX = ".mdn-", ".part"
_YOUNG = 60.0  # seconds: a new file is not locked yet for a moment


def part_beside(place: Path) -> Path:
    """A name for what will be `place` once it is whole."""
    return place.parent / f"{_PREFIX}{_host()}-{secrets.token_hex(8)}{_SUFFIX}"


@contextlib.contextmanager
def locked(descriptor: int) -> Iterator[bool]:
    """Holds the lock of an open file or folder; the system frees it when the process dies.

    Tells whether no other process had it; where there are no locks, that is taken for granted.
    """
    owner = _lock(descriptor)
    try:
        yield owner or fcntl is None
    finally:
        if owner:
            fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """As `locked`, for a folder. Where folders cannot be opened, as on Windows, nothing is held."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        with locked(descriptor):
            yield
    finally:
        os.close(descriptor)


@cache  # once a folder and run
def sweep(folder: Path) -> int:
    """Removes what runs on this machine that are dead have left in a folder; how many."""
    removed = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            ours = entry.name.startswith(f"{_PREFIX}{_host()}-") and entry.name.endswith(_SUFFIX)
            if ours and not entry.is_symlink():
                with contextlib.suppress(OSError):
                    removed += _remove_if_dead(Path(entry.path))
    return removed


def _remove_if_dead(part: Path) -> bool:
    if fcntl is None or time.time() - part.stat().st_mtime < _YOUNG:
        return False
    descriptor = os.open(part, os.O_RDONLY)
    try:
        if not _lock(descriptor):
            return False
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()
        return True
    finally:
        os.close(descriptor)


@cache
def _host() -> str:
    """Stands for this machine: others may write into the same folder, and cannot be asked."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _lock(descriptor: int) -> bool:
    """Takes the lock of an open file, without waiting; whether it was free."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another holds it, or this disk knows no locks
        return False
    return True
