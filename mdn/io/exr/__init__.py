"""OpenEXR files in and out, whole: every part, channel and attribute.

Pixels go through the OpenEXR library, in a process of its own (`child`, `worker`); headers are
taken over byte for byte (`header`). What the library's Python binding cannot bring back - deep
data, mipmap levels, subsampled channels - is refused by name.
"""

import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdn.errors import FileError
from mdn.io.atomic import read_bytes, write_bytes
from mdn.io.base import DAMAGED
from mdn.io.exr import header as headers
from mdn.io.exr.child import CHILD
from mdn.io.exr.header import COMPRESSIONS, LOSSY, Header, Headers

NAME = "exr"


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
    """Read a file whole.

    Args:
        source: a file, or its content.
        name: how messages call it; by default the path.

    Raises FileError: it is missing, damaged, too large, or of a kind that would not survive.
    """
    name = name or ("standard input" if isinstance(source, bytes) else str(source))
    data = source if isinstance(source, bytes) else read_bytes(source, name)
    found = headers.parse(data, name)
    if isinstance(source, bytes):
        with tempfile.TemporaryDirectory(prefix="mdn-") as folder:
            path = Path(folder) / "in.exr"
            path.write_bytes(source)
            return _read(path, found, name)
    return _read(source, found, name)


def _read(path: Path, found: Headers, name: str) -> Exr:
    nbytes = sum(part.nbytes for part in found.parts)
    request = {"what": "read", "path": str(path.resolve())}
    answer, arrays = CHILD.ask(name, request, [], nbytes)
    pixels = iter(arrays)
    parts = [{key: next(pixels) for key, _, _ in channels} for channels in answer["parts"]]
    for index, part in enumerate(found.parts):  # the binding skips what it cannot read
        got = parts[index] if index < len(parts) else {}
        for key, dtype in part.channels.items():
            if key not in got or got[key].shape != part.shape or got[key].dtype != dtype:
                where = f"channel {key}" + (f" of part {part.name}" if part.name else "")
                raise FileError(name, f"is a damaged OpenEXR file: {where} cannot be read", DAMAGED)
    return Exr(tuple(parts), found, name)


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
        exr: what to write; its channels are those of its headers.
        target: replaced by one rename; None writes nothing.
        changed: (part, channel) of those that may be compressed with loss.
        overwrite: replace what is there, or appears meanwhile; else that is an error.

    Returns:
        The content, and notes on what is stored otherwise than it came.

    Raises FileError: the library refuses, or the target cannot be written.
    """
    kinds = [part.compression for part in exr.headers.parts]
    data = _encoded(exr, kinds)
    notes = []
    if LOSSY.intersection(kinds):
        spoilt = _spoilt(exr, read(data, name=exr.name), changed)
        for index in spoilt:
            part = exr.headers.parts[index]
            where = f"part {part.name}" if part.name else "the picture"
            notes.append(
                f"{where}: {kinds[index]} compression loses, so it is stored as ZIP to keep what"
                " was not denoised bit for bit"
            )
            kinds[index] = "ZIP"
        data = _encoded(exr, kinds) if spoilt else data
    if target is not None:
        write_bytes(target, data, overwrite=overwrite)
    return data, notes


def _spoilt(exr: Exr, back: Exr, changed: frozenset[tuple[int, str]]) -> list[int]:
    """The parts in which a channel that must stay did not."""
    return [
        index
        for index, part in enumerate(exr.parts)
        if any(
            (index, key) not in changed and pixels.tobytes() != back.parts[index][key].tobytes()
            for key, pixels in part.items()
        )
    ]


def _encoded(exr: Exr, compressions: list[str]) -> bytes:
    described, arrays = [], []
    for part, pixels, compression in zip(exr.headers.parts, exr.parts, compressions, strict=True):
        described.append(_described(part, pixels, compression))
        arrays += [np.ascontiguousarray(each) for each in pixels.values()]
    with tempfile.TemporaryDirectory(prefix="mdn-") as folder:
        path = Path(folder) / "out.exr"
        request = {"what": "write", "path": str(path), "parts": described}
        CHILD.ask(exr.name, request, arrays, exr.nbytes)
        written = path.read_bytes()
    replaced = {
        index: {"compression": bytes([COMPRESSIONS.index(compression)])}
        for index, compression in enumerate(compressions)
    }
    return headers.transplant(written, exr.headers, replaced)


def _described(part: Header, pixels: dict[str, np.ndarray], compression: str) -> dict[str, Any]:
    level = part.attributes.get("dwaCompressionLevel", ("", b""))[1]
    return {
        "name": part.name or "part",
        "channels": [[key, str(each.dtype), list(each.shape)] for key, each in pixels.items()],
        "dataWindow": part.data_window,
        "displayWindow": part.display_window,
        "compression": compression,
        "order": part.attributes["lineOrder"][1][0],
        "tile": list(part.tile[:2]) if part.tiled else None,
        "level": struct.unpack("<f", level)[0] if len(level) == 4 else None,
    }
