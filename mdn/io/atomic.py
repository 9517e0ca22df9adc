"""Bytes in and bytes out: a file is read whole, and written whole or not at all.

What mdn writes is called .mdn-HOST-RANDOM.part until it is complete. Its writer holds a lock on it:
a part without a lock was left behind by a run that was killed.
"""

import contextlib
import errno
import os
import secrets
import shutil
import socket
import stat
import time
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

from mdn.errors import FileError
from mdn.io.base import MAX_SAMPLES

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

_PREFIX, _SUFFIX = ".mdn-", ".part"
_YOUNG = 60.0  # seconds: a new file is not locked yet for a moment

MAX_BYTES = 4 * MAX_SAMPLES + 2**26  # the largest picture as 32-bit floats, and its metadata
# What disks without hard links answer (FAT, some network drives).
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def read_bytes(path: Path, name: str) -> bytes:
    """The content of a regular file.

    Raises FileError: it is missing, unreadable, empty, too large, a directory or a device.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            if path.suffix.lower() == ".zarr":
                raise FileError(name, "is a Zarr store, for mdn denoise alone", "name a TIFF")
            raise FileError(name, "is a directory", "name a picture in it")
        if not stat.S_ISREG(status.st_mode):
            raise FileError(name, "is not a regular file", "pipe it in and name it -")
        if status.st_size > MAX_BYTES:
            raise FileError(name, f"is larger than {MAX_BYTES} bytes", "cut it into parts")
        return path.read_bytes()
    except FileNotFoundError:
        raise FileError(name, "does not exist", "check its name and folder") from None
    except PermissionError:
        raise FileError(name, "may not be read", "change its permissions") from None
    except (OSError, ValueError) as problem:
        raise FileError(name, f"cannot be read ({_reason(problem)})") from problem


def write_bytes(target: Path, data: bytes, *, overwrite: bool = True) -> None:
    """Write `data` to a temporary file beside `target`, then rename it to `target`.

    Whatever happens on the way, `target` is either as it was or complete, and the temporary file is
    gone. A symbolic link is followed: the file it names is replaced.

    overwrite: replace a file that is there, or appears meanwhile; else that is an error.
    Raises FileError: it cannot be written; the message says why.
    """
    with replacing(target, overwrite=overwrite) as stream:
        stream.write(data)


def copy_file(source: Path, target: Path, *, overwrite: bool = True) -> None:
    """`target` becomes what `source` is, byte for byte; promises as those of `write_bytes`.

    Raises FileError: it cannot be read or written.
    """
    with source.open("rb") as content, replacing(target, overwrite=overwrite) as stream:
        shutil.copyfileobj(content, stream, 2**20)


@contextlib.contextmanager
def replacing(target: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A temporary file beside `target`, open for reading and writing, renamed to it at the end.

    Promises and errors are those of `write_bytes`.
    """
    try:
        place = Path(os.path.realpath(target))
        if not place.parent.is_dir():
            raise FileError(target, "is in a folder that does not exist", f"create {place.parent}")
        if place.is_dir():
            raise FileError(target, "is a directory", "name a file in it")
        if place.exists() and not place.is_file():
            raise FileError(target, "is not a regular file", "write to - and redirect it")
        # A rename would quietly replace a file that its owner has write-protected.
        if place.exists() and not (place.stat().st_mode & 0o222 and os.access(place, os.W_OK)):
            raise FileError(target, "is read-only", "change its permissions or write elsewhere")
        if not overwrite and os.path.lexists(place):
            raise _taken(target)
    except (OSError, ValueError) as problem:
        raise FileError(target, f"cannot be written ({_reason(problem)})") from problem
    with _part_of(target, place) as temporary:
        # 0o666 less the umask: what any new file gets, unlike tempfile's 0o600.
        with (
            open(temporary, "x+b", opener=lambda at, flags: os.open(at, flags, 0o666)) as stream,
            locked(stream.fileno()),
        ):
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if overwrite:
            temporary.replace(place)
        else:
            _put(temporary, place)


@contextlib.contextmanager
def _part_of(target: Path, place: Path) -> Iterator[Path]:
    """A name beside `place`; what is still there in the end goes. OSErrors become FileErrors."""
    sweep(place.parent)
    temporary = part_beside(place)
    try:
        yield temporary
    except OSError as problem:
        if problem.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise _taken(target) from problem
        if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            barred = "is in a folder that may not be written"
            raise FileError(target, barred, "write elsewhere with -o") from problem
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        refused = f"cannot be written ({_reason(problem)})"
        raise FileError(target, refused, "make room" if full else "") from problem
    finally:  # after an interrupt too
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _put(temporary: Path, place: Path) -> None:
    """Gives a file its name, unless something has it already. Raises FileExistsError: it has."""
    try:
        os.link(temporary, place)
    except OSError as problem:
        if problem.errno not in _NO_LINKS:
            raise
        with open(place, "x"):  # takes the name, empty for a moment
            pass
        temporary.replace(place)
    else:
        temporary.unlink()


def swap_folder(staging: Path, place: Path) -> None:
    """Two renames of neighbours: never half a folder under its name.

    Raises OSError: it cannot be done; what was there is there again.
    """
    former = staging.with_suffix(".old")
    if place.exists():
        place.replace(former)
    try:
        staging.replace(place)
    except BaseException:
        if former.exists():
            former.replace(place)
        raise
    shutil.rmtree(former, ignore_errors=True)


@contextlib.contextmanager
def replacing_folder(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A temporary folder beside `target`, renamed to it at the end; one that was there goes then.

    Whatever happens on the way, `target` is either as it was or complete. Without `overwrite` a
    folder that is there, or appears meanwhile, is an error.

    Raises FileError: it cannot be written; the message says why.
    """
    place = Path(os.path.realpath(target))
    if not overwrite and os.path.lexists(place):
        raise _taken(target)
    with _part_of(target, place) as temporary:
        temporary.mkdir()
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):  # Windows opens no folders
                descriptor = os.open(temporary, os.O_RDONLY)
                held.callback(os.close, descriptor)
                held.enter_context(locked(descriptor))
            yield temporary
        name_folder(temporary, target, overwrite=overwrite)


def name_folder(staging: Path, target: Path, *, overwrite: bool) -> None:
    """A folder that is complete becomes `target`. Raises FileError: something else has the name."""
    place = Path(os.path.realpath(target))
    try:
        if overwrite:
            swap_folder(staging, place)
        else:
            staging.rename(place)  # which fails where a folder with content is
    except OSError as problem:
        if problem.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise _taken(target) from problem
        raise


def _taken(target: Path) -> FileError:
    return FileError(
        target, "was written by another run meanwhile and is left as it is", "give --overwrite"
    )


def _reason(problem: Exception) -> str:
    text = problem.strerror if isinstance(problem, OSError) else None
    return (text or str(problem) or type(problem).__name__).splitlines()[0]


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
