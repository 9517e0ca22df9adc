"""OpenEXR files in and out, whole: every part, channel and attribute.

Pixels go through the OpenEXR library, in a process of its own (`worker`); headers are
taken over byte for byte (`header`). What the library's Python binding cannot bring back - deep
data, mipmap levels, subsampled channels - is refused by name.
"""

import atexit
import contextlib
import struct
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdn.errors import FileError
from mdn.io.atomic import read_bytes, write_bytes
from mdn.io.base import DAMAGED
from mdn.io.exr import header as headers
from mdn.io.exr import worker
from mdn.io.exr.header import COMPRESSIONS, LOSSY, Header, Headers

NAME = "exr"
SECONDS = 20.0  # for any file, and
SECONDS_PER_BYTE = 1 / 2e6  # for each byte of its pixels: a slow disk and a slow codec


@dataclass(frozen=True)
class Exr:
    """An OpenEXR file."""

    # of each part, channel name -> (H, W) float16, float32 or uint32: its data window
    parts: tuple[dict[str, np.ndarray], ...]
    headers: Headers  # of each part, as stored
    name: str = "render"  # how messages call it

    @property
    def nbytes(self) -> int:
        """All samples."""
        return sum(part.nbytes for part in self.headers.parts)


def is_exr(data: bytes) -> bool:
    """Whether this is how an OpenEXR file starts."""
    return data[:4] == headers.MAGIC


def read(source: Path | bytes, *, name: str | None = None) -> Exr:
    """Read a file whole, or its content. name: how messages call it; by default the path.

    Raises FileError: it is missing, damaged, too large, or of a kind that would not survive.
    """
    name = name or ("standard input" if isinstance(source, bytes) else str(source))
    header = headers.parse(source if isinstance(source, bytes) else read_bytes(source, name), name)
    with contextlib.ExitStack() as opened:
        if isinstance(source, bytes):
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="mdn-"))
            path = Path(folder) / "in.exr"
            path.write_bytes(source)
        else:
            path = source
        request = {"what": "read", "path": str(path.resolve())}
        nbytes = sum(part.nbytes for part in header.parts)
        parts = CHILD.ask(name, request, nbytes)["parts"]
    for index, part in enumerate(header.parts):  # the binding skips what it cannot read
        got = parts[index] if index < len(parts) else {}
        for key, dtype in part.channels.items():
            if key not in got or got[key].shape != part.shape or got[key].dtype != dtype:
                where = f"channel {key}" + (f" of part {part.name}" if part.name else "")
                raise FileError(name, f"is a damaged OpenEXR file: {where} cannot be read", DAMAGED)
    return Exr(tuple(parts), header, name)


def write(
    exr: Exr,
    target: Path | None,
    changed: frozenset[tuple[int, str]] = frozenset(),
    *,
    overwrite: bool = True,
) -> tuple[bytes, list[str]]:
    """Write a file whole, or not at all.

    A lossy compression is kept where it changes no channel but the `changed` ones: else its part
    is stored as ZIP, and a note says so.

    Args:
        exr: its channels are those of its headers.
        target: replaced by one rename; None writes nothing.
        changed: (part, channel) of those that may be compressed with loss.
        overwrite: replace what is there, or appears meanwhile; else that is an error.

    Returns the content, and notes on what is stored otherwise than it came.
    Raises FileError: the library refuses, or the target cannot be written.
    """
    kinds = [part.compression for part in exr.headers.parts]
    data = _encoded(exr, kinds)
    notes: list[str] = []
    if LOSSY.intersection(kinds):
        back = read(data, name=exr.name)
        for index, (part, planes) in enumerate(zip(exr.headers.parts, exr.parts, strict=True)):
            others = [key for key in planes if (index, key) not in changed]
            if any(planes[key].tobytes() != back.parts[index][key].tobytes() for key in others):
                where = f"part {part.name}" if part.name else "the picture"
                notes.append(
                    f"{where}: {kinds[index]} compression loses, so it is stored as ZIP to keep"
                    " what was not denoised bit for bit"
                )
                kinds[index] = "ZIP"
        data = _encoded(exr, kinds) if notes else data
    if target is not None:
        write_bytes(target, data, overwrite=overwrite)
    return data, notes


def _encoded(exr: Exr, compressions: list[str]) -> bytes:
    parts = zip(exr.headers.parts, exr.parts, compressions, strict=True)
    described = [_described(*part) for part in parts]
    with tempfile.TemporaryDirectory(prefix="mdn-") as folder:
        path = Path(folder) / "out.exr"
        request = {"what": "write", "path": str(path), "parts": described}
        CHILD.ask(exr.name, request, exr.nbytes)
        written = path.read_bytes()
    replaced = {
        index: {"compression": bytes([COMPRESSIONS.index(compression)])}
        for index, compression in enumerate(compressions)
    }
    return headers.transplant(written, exr.headers, replaced)


def _described(part: Header, pixels: dict[str, np.ndarray], compression: str) -> dict[str, Any]:
    level = part.value("dwaCompressionLevel")
    return {
        "name": part.name or "part",
        "channels": {key: np.ascontiguousarray(plane) for key, plane in pixels.items()},
        "dataWindow": part.data_window,
        "displayWindow": part.display_window,
        "compression": compression,
        "order": part.value("lineOrder")[0],
        "tile": list(part.tile[:2]) if part.tiled else None,
        "level": struct.unpack("<f", level)[0] if len(level) == 4 else None,
    }


class Child:
    """The process, started when first needed; a new one after a crash.

    script: what it runs. seconds: the least time that a request gets.
    """

    def __init__(self, script: str = worker.__file__, seconds: float = SECONDS) -> None:
        self.script, self.seconds = script, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, name: str, request: dict[str, Any], nbytes: int) -> dict[str, Any]:
        """One request and its answer.

        nbytes: size of the pixels; it bounds time and memory.
        Raises FileError: the library refuses the file, crashes on it, or takes too long.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            late = threading.Event()
            seconds = self.seconds + nbytes * SECONDS_PER_BYTE

            def give_up() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(seconds, give_up)
            timer.daemon = True
            timer.start()
            try:
                # The file's own copy in the library, the arrays, and one more on the way to us.
                worker.send(process.stdin, request | {"memory": 4 * nbytes})  # type: ignore[arg-type]
                answer = worker.receive(process.stdout)  # type: ignore[arg-type]
            except BrokenPipeError:
                answer = None
            except BaseException:  # an interrupt leaves half an answer in the pipe
                self.close()
                raise
            finally:
                timer.cancel()
            if answer is None:
                self.close()
                slow = "takes the OpenEXR library too long"
                said = slow if late.is_set() else "crashes its library"
                raise FileError(name, f"is a damaged OpenEXR file: {said}", DAMAGED)
            if "error" in answer:
                raise FileError(name, f"OpenEXR refuses it ({answer['error']})", DAMAGED)
            return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                # -P: the folder of the script is no place to import from.
                [sys.executable, "-P", "-W", "ignore", self.script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def close(self) -> None:
        """Ends the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


CHILD = Child()
atexit.register(CHILD.close)
