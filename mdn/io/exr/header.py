"""The headers of an OpenEXR file, read and moved without the C library.

Every attribute is kept as the bytes it was stored as. So what the library reads can be checked
against what the file says, and the file that it writes can be given the source's own header:
attributes of any type survive, those that the library does not know included.

Layout: "OpenEXR File Layout" (openexr.com), sections Magic Number to Chunk Offset Tables.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from mdn.errors import FileError
from mdn.io.base import DAMAGED, MAX_SAMPLES, check_size

MAGIC = b"v/1\x01"
TILED, LONG_NAMES, NON_IMAGE, MULTI_PART = 0x200, 0x400, 0x800, 0x1000
_KNOWN_FLAGS = 0xFF | TILED | LONG_NAMES | NON_IMAGE | MULTI_PART
MAX_PARTS, MAX_ATTRIBUTES, MAX_CHANNELS = 1024, 4096, 4096

COMPRESSIONS = (
    *("NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB"),
    *("HTJ2K256", "HTJ2K32", "LJ2K", "ZSTD"),
)
LOSSY = frozenset({"B44", "B44A", "DWAA", "DWAB", "PXR24"})
DTYPES = ("uint32", "float16", "float32")
_BYTES = {"uint32": 4, "float16": 2, "float32": 4}
_NEEDED = ("channels", "compression", "dataWindow", "displayWindow", "lineOrder")


@dataclass(frozen=True)
class Header:
    """One part."""

    attributes: Mapping[str, tuple[str, bytes]]  # name -> (type, bytes), in the file's order
    channels: Mapping[str, str]  # name -> dtype, in the file's order
    # data_window, display_window: x and y of the first pixel, x and y of the last
    data_window: tuple[int, int, int, int]
    display_window: tuple[int, int, int, int]
    compression: str  # one of `COMPRESSIONS`
    tiled: bool  # stored as tiles, not scan lines

    def value(self, key: str) -> bytes:
        """An attribute, or nothing."""
        return self.attributes.get(key, ("", b""))[1]

    @property
    def name(self) -> str:
        """The part's name, or nothing."""
        return self.value("name").decode("utf-8", "replace")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the data window."""
        left, top, right, bottom = self.data_window
        return bottom - top + 1, right - left + 1

    @property
    def nbytes(self) -> int:
        """All samples of the part, unpacked."""
        height, width = self.shape
        return height * width * sum(_BYTES[each] for each in self.channels.values())

    @property
    def tile(self) -> tuple[int, int, int]:
        """Tile width, height, and mode: 0 one level, 1 mipmap, 2 ripmap (with 16 for rounding)."""
        return struct.unpack("<IIB", self.value("tiles")[:9])


@dataclass(frozen=True)
class Headers:
    """All that stands before the chunk offset tables: version and flags, parts, and its length."""

    version: int
    parts: tuple[Header, ...]
    length: int


def parse(data: bytes, name: str) -> Headers:
    """The headers of an OpenEXR file. All of it is checked before it is used.

    Raises FileError: damaged or cut short; or deep, mipmapped, subsampled or too large, by name.
    """
    try:
        return _parse(data, name)
    except (struct.error, LookupError, ValueError, ZeroDivisionError) as problem:
        raise FileError(name, "has a damaged OpenEXR header", DAMAGED) from problem


def _parse(data: bytes, name: str) -> Headers:
    if data[:4] != MAGIC:
        raise FileError(name, "is not an OpenEXR picture", DAMAGED)
    (version,) = struct.unpack_from("<I", data, 4)
    if version & 0xFF != 2 or version & ~_KNOWN_FLAGS:
        raise FileError(name, f"is OpenEXR of an unknown version ({version:#x})", DAMAGED)
    if version & NON_IMAGE:
        raise FileError(name, "holds deep data", "flatten it first: mdn denoises flat pictures")
    at = 8
    parts: list[Header] = []
    while True:
        attributes, at = _attributes(data, at)
        if not attributes and parts:
            break
        parts.append(_header(attributes, version, name))
        if not version & MULTI_PART:
            break
        if len(parts) > MAX_PARTS:
            raise ValueError("too many parts")
    if sum(part.nbytes for part in parts) > 4 * MAX_SAMPLES:
        raise FileError(name, "claims more samples than mdn reads", "split its parts")
    _check_tables(data, at, parts)
    return Headers(version, tuple(parts), at)


def _attributes(data: bytes, at: int) -> tuple[dict[str, tuple[str, bytes]], int]:
    found: dict[str, tuple[str, bytes]] = {}
    while data[at]:
        key, at = _text(data, at)
        kind, at = _text(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        at += 4
        if size < 0 or at + size >= len(data) or key in found or len(found) > MAX_ATTRIBUTES:
            raise ValueError("attribute")
        found[key] = (kind, data[at : at + size])
        at += size
    return found, at + 1


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at, at + 257)
    return data[at:end].decode("utf-8", "surrogateescape"), end + 1


def _header(attributes: dict[str, tuple[str, bytes]], version: int, name: str) -> Header:
    if missing := [key for key in _NEEDED if key not in attributes]:
        raise FileError(name, f"has no {missing[0]} in its header", DAMAGED)
    kind = attributes.get("type", ("", b""))[1].rstrip(b"\0")
    if kind in (b"deepscanline", b"deeptile"):
        raise FileError(name, "holds deep data", "flatten it first: mdn denoises flat pictures")
    tiled = kind == b"tiledimage" if version & MULTI_PART else bool(version & TILED)
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"][1])
    channels, subsampled = _channels(attributes["channels"][1])
    check_size(name, bottom - top + 1, right - left + 1, len(channels))
    if subsampled:
        problem = "has subsampled channels (luminance/chroma)"
        raise FileError(name, problem, "save it with R, G and B channels")
    compression = COMPRESSIONS[attributes["compression"][1][0]]
    display = struct.unpack("<4i", attributes["displayWindow"][1])
    header = Header(attributes, channels, (left, top, right, bottom), display, compression, tiled)
    if tiled and header.tile[2] & 15:
        levels = {1: "mipmap", 2: "ripmap"}[header.tile[2] & 15]
        raise FileError(name, f"holds {levels} levels", "save it with one level (exrmaketiled -o)")
    return header


def _channels(block: bytes) -> tuple[dict[str, str], bool]:
    """dtypes by name, and whether any has less than one sample a pixel."""
    found: dict[str, str] = {}
    at, subsampled = 0, False
    while block[at]:
        key, at = _text(block, at)
        kind, _, x, y = struct.unpack_from("<i4sii", block, at)
        at += 16
        if kind < 0 or x < 1 or y < 1 or key in found or len(found) > MAX_CHANNELS:
            raise ValueError("channel")
        found[key] = DTYPES[kind]
        subsampled |= (x, y) != (1, 1)
    return found, subsampled


def _check_tables(data: bytes, at: int, parts: list[Header]) -> None:
    """A file of a few bytes must not make anybody allocate for the picture that it claims."""
    chunks = 0
    for part in parts:
        height, width = part.shape
        if part.tiled:
            across, down, _ = part.tile
            chunks += -(-width // across) * -(-height // down)
        else:
            chunks += -(-height // 256)  # no compression packs more lines into a chunk
    if at + 8 * chunks > len(data):
        raise ValueError("cut short")


def transplant(
    written: bytes, source: Headers, replaced: Mapping[int, Mapping[str, bytes]]
) -> bytes:
    """The written file with the attributes of `source`, byte for byte.

    Args:
        written: what the library wrote from the same parts; its chunks follow its tables.
        replaced: by part, attributes that must say otherwise (compression).

    Returns:
        The file: header, chunk offsets moved by the difference in length, chunks as written.
    """
    own = parse(written, "the file written")
    version = source.version & ~MULTI_PART | own.version & MULTI_PART
    if not own.version & MULTI_PART:
        version = version & ~TILED | own.version & TILED
    head = [MAGIC, struct.pack("<I", version)]
    for index, (part, made) in enumerate(zip(source.parts, own.parts, strict=True)):
        values = {key: (kind, value) for key, (kind, value) in part.attributes.items()}
        if "chunkCount" in values and "chunkCount" in made.attributes:
            values["chunkCount"] = made.attributes["chunkCount"]
        for key, value in replaced.get(index, {}).items():
            values[key] = (values[key][0], value)
        if own.version & MULTI_PART:  # where these are obligatory
            for key in ("name", "type", "chunkCount"):
                values.setdefault(key, made.attributes[key])
        for key, (kind, value) in values.items():
            names = b"\0".join(text.encode("utf-8", "surrogateescape") for text in (key, kind))
            head.append(names + b"\0" + struct.pack("<i", len(value)) + value)
        head.append(b"\0")
    if own.version & MULTI_PART:
        head.append(b"\0")
    header = b"".join(head)
    return header + _moved(written, own.length, len(header) - own.length)


def _moved(written: bytes, at: int, by: int) -> bytes:
    """The tables and chunks, for a header that is `by` bytes longer."""
    first = len(written)
    offsets: list[int] = []
    while at + 8 * len(offsets) < first:
        (offset,) = struct.unpack_from("<Q", written, at + 8 * len(offsets))
        first = min(first, offset)
        offsets.append(offset + by)
    return struct.pack(f"<{len(offsets)}Q", *offsets) + written[first:]
