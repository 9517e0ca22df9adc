"""Bytes in and bytes out: a file is read whole, and written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mdn.errors import FileError
from mdn.io.base import MAX_SAMPLES

MAX_BYTES = 4 * MAX_SAMPLES + 2**26  # the largest picture as 32-bit floats, and its metadata


def read_bytes(path: Path, name: str) -> bytes:
    """The content of a regular file.

    Raises:
        FileError: it is missing, unreadable, empty, too large, a directory or a device.
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


def write_bytes(target: Path, data: bytes) -> None:
    """Write `data` to a temporary file beside `target`, then rename it over `target`.

    Whatever happens on the way, `target` is either as it was or complete, and the temporary file is
    gone. A symbolic link is followed: the file it names is replaced.

    Raises:
        FileError: it cannot be written; the message says why.
    """
    with replacing(target) as stream:
        stream.write(data)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A temporary file beside `target`, open for reading and writing, renamed over it at the end.

    Promises and errors are those of `write_bytes`.
    """
    try:
        place = Path(os.path.realpath(target))
        _check_target(target, place)
    except (OSError, ValueError) as problem:
        raise FileError(target, f"cannot be written ({_reason(problem)})") from problem
    temporary = place.parent / f".mdn-{secrets.token_hex(8)}.part"
    try:
        # 0o666 less the umask: what any new file gets, unlike tempfile's 0o600.
        with open(temporary, "x+b", opener=lambda at, flags: os.open(at, flags, 0o666)) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(place)
    except BaseException as problem:  # an interrupt must not leave the temporary file either
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(problem, OSError):
            raise _unwritable(target, problem) from problem
        raise


def swap_folder(staging: Path, place: Path) -> None:
    """Two renames of neighbours: never half a folder under its name.

    Raises:
        OSError: it cannot be done; what was there is there again.
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
def replacing_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, renamed to it at the end; one that was there goes then.

    Whatever happens on the way, `target` is either as it was or complete.

    Raises:
        FileError: it cannot be written; the message says why.
    """
    place = Path(os.path.realpath(target))
    temporary = place.parent / f".mdn-{secrets.token_hex(8)}.part"
    try:
        temporary.mkdir()
        yield temporary
        swap_folder(temporary, place)
    except BaseException as problem:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(problem, OSError):
            raise _unwritable(target, problem) from problem
        raise


def _check_target(target: Path, place: Path) -> None:
    if not place.parent.is_dir():
        raise FileError(target, "is in a folder that does not exist", f"create {place.parent}")
    if not place.exists():
        return
    if place.is_dir():
        raise FileError(target, "is a directory", "name a file in it")
    if not place.is_file():
        raise FileError(target, "is not a regular file", "write to - and redirect it")
    # A rename would quietly replace a file that its owner has write-protected.
    if not place.stat().st_mode & 0o222 or not os.access(place, os.W_OK):
        raise FileError(target, "is read-only", "change its permissions or write elsewhere")


def _unwritable(target: Path, problem: OSError) -> FileError:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return FileError(target, f"cannot be written ({_reason(problem)})", "make room")
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FileError(
            target, "is in a folder that may not be written", "write elsewhere with -o"
        )
    return FileError(target, f"cannot be written ({_reason(problem)})")


def _reason(problem: Exception) -> str:
    text = problem.strerror if isinstance(problem, OSError) else None
    return (text or str(problem) or type(problem).__name__).splitlines()[0]
