"""Netpbm's pixmaps: PGM and PPM of 8 and 16 bits, and PFM of 32-bit floats.

Written here in full: Pillow rounds 16-bit colour to 8 bits. Sources: Netpbm, pgm(5) and ppm(5); the
Portable Float Map, as Debevec's HDRShop and Netpbm's pfm(5) have it.
"""

import re
from functools import partial
from typing import Any

import numpy as np

from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io.base import DAMAGED, Format, check_size, rescaled

PLAIN = {b"P2": b"P5", b"P3": b"P6"}  # numbers as text, and the same in binary
CHANNELS = {b"P5": 1, b"P6": 3, b"Pf": 1, b"PF": 3}
# White space; comments run from # to the end of the line.
_FIELD = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([^\s#]+)")
_COMMENT = re.compile(rb"#([^\r\n]*)")
_MAX_HEADER = 2**16


def decode(data: bytes, name: str, kind: str) -> Image:
    """Read a PGM, PPM or PFM; samples of 0 to the file's own maximum span 8 or 16 bits.

    kind: as in `Image.format`.
    """
    magic = data[:2]
    width, height, last, at = _header(data, name)
    if kind == "pfm":
        return _decode_floats(data, at, (height, width), last, name)
    top = int(last)
    if not 0 < top < 65536:
        raise FileError(name, f"has a maximum of {top}, which no {kind.upper()} has", DAMAGED)
    channels = CHANNELS[PLAIN.get(magic, magic)]
    stored = np.dtype("u1" if top < 256 else ">u2")
    check_size(name, height, width, channels, sample_bytes=stored.itemsize)
    count = height * width * channels
    if magic in PLAIN:
        words = data[at:].split(None, count)[:count]
        _check_rest(len(words), count, b"", name)
        values = np.array([int(word) for word in words], np.int64)
    else:
        values = np.frombuffer(
            data, stored, max(0, min(count, (len(data) - at) // stored.itemsize)), at
        )
        _check_rest(len(values), count, data[at + count * stored.itemsize :], name)
    if values.max() > top or values.min() < 0:
        raise FileError(name, f"has samples beyond its maximum of {top}", DAMAGED)
    pixels = values.astype("u1" if top < 256 else "u2").reshape(1, height, width, channels)
    white = np.iinfo(pixels.dtype).max
    if top < white:
        pixels = rescaled(pixels, top, white)
    bits = top.bit_length() if top & (top + 1) == 0 and 256 < top < 65535 else None
    private = {"netpbm": {"top": top, "comments": _COMMENT.findall(data[: min(at, _MAX_HEADER)])}}
    return Image(pixels, None, Metadata(private=private, bits=bits), name, kind)


def _decode_floats(data: bytes, at: int, shape: tuple[int, int], last: bytes, name: str) -> Image:
    scale, channels = float(last), CHANNELS[data[:2]]
    if not np.isfinite(scale) or scale == 0:
        raise FileError(name, "is a PFM without a byte order", DAMAGED)
    check_size(name, *shape, channels, sample_bytes=4)
    stored = np.dtype("<f4" if scale < 0 else ">f4")
    count = shape[0] * shape[1] * channels
    values = np.frombuffer(data, stored, max(0, min(count, (len(data) - at) // 4)), at)
    _check_rest(len(values), count, data[at + 4 * count :], name)
    rows = values.astype(np.float32).reshape(*shape, channels)[::-1]  # the lowest row comes first
    private = {"netpbm": {"scale": last, "comments": []}}
    return Image(np.ascontiguousarray(rows)[None], None, Metadata(private=private), name, "pfm")


def encode(image: Image, quality: int, kind: str) -> bytes:
    """Write a binary PGM, PPM or PFM, with the maximum, comments and byte order of its source."""
    pixels = image.pixels[0]
    height, width, channels = pixels.shape
    own: dict[str, Any] = image.meta.private.get("netpbm", {})
    size = f"{width} {height}\n".encode()
    if kind == "pfm":
        scale = own.get("scale", b"-1.0")
        rows = pixels[::-1].astype("<f4" if float(scale) < 0 else ">f4")
        return (b"Pf\n" if channels == 1 else b"PF\n") + size + scale + b"\n" + rows.tobytes()
    white = int(np.iinfo(pixels.dtype).max)
    top = min(own.get("top", white), white)
    pixels = rescaled(pixels, white, top) if top < white else pixels
    comments = b"".join(b"#" + line + b"\n" for line in own.get("comments", ()))
    head = (b"P5\n" if channels == 1 else b"P6\n") + comments + size + b"%d\n" % top
    return head + pixels.astype("u1" if top < 256 else ">u2").tobytes()


def _header(data: bytes, name: str) -> tuple[int, int, bytes, int]:
    """Width, height, the last field of the header, and where the samples begin."""
    fields, at = [], 2
    for _ in range(3):
        match = _FIELD.match(data[:_MAX_HEADER], at)
        if match is None:
            raise FileError(name, "is a pixmap that ends within its header", DAMAGED)
        fields.append(match[1])
        at = match.end()
    width, height = int(fields[0]), int(fields[1])
    check_size(name, height, width)
    return width, height, fields[2], at + 1  # one white space ends the header


def _check_rest(there: int, count: int, rest: bytes, name: str) -> None:
    if there < count:
        raise FileError(name, "is a pixmap that ends before its picture does", DAMAGED)
    if rest.lstrip()[:1] == b"P":
        raise FileError(name, "holds several pictures", "save the one you want on its own")


def _format(kind: str, magics: tuple[bytes, ...], suffix: str, **holds: Any) -> Format:
    return Format(
        name=kind,
        suffixes=(suffix,),
        recognises=lambda data: data[:2] in magics and data[2:3].isspace(),
        decode=partial(decode, kind=kind),
        encode=partial(encode, kind=kind),
        holds=frozenset(),
        alpha=False,
        gray_alpha=False,
        **holds,
    )


FORMATS = (
    _format("pgm", (b"P5", b"P2"), ".pgm", colour=False),
    _format("ppm", (b"P6", b"P3"), ".ppm", gray=False),
    _format("pfm", (b"PF", b"Pf"), ".pfm", depths=("float32",)),
)
NETPBM = frozenset(form.name for form in FORMATS)
