"""What phones store behind the picture of a JPEG: gain maps, films, further pictures."""

import re
from collections.abc import Set

from mdn.io.xmp import DEPTH, FILM, GAIN_MAP

FURTHER, OTHER = "further pictures in the file", "data behind the picture"

_PICTURE = b"\xff\xd8\xff"
# Adobe's, ISO 21496-1's and Apple's way to say that a picture is a gain map.
_GAIN_MAPS = (
    b"ns.adobe.com/hdr-gain-map/",
    b"urn:iso:std:iso:ts:21496:-1",
    b"apple.com/HDRGainMap",
)
_FILM = re.compile(rb"\0\0\0[\x08-\x40]ftyp|MotionPhoto_Data")  # MP4 and QuickTime; Samsung's mark
_PADDING = b"\0\xff \r\n\t"


def parts_behind(tail: bytes, listed: int, promised: Set[str]) -> tuple[str, ...]:
    """The parts of a file that lie behind its picture, by what they are.

    Args:
        tail: all bytes behind the end of the picture.
        listed: how many pictures the file's index (MPF) lists, the first included; 0 without one.
        promised: what XMP says of parts; see `mdn.io.xmp`.
    """
    if not tail.strip(_PADDING):
        return ()
    parts: list[str] = []
    pictures = _PICTURE in tail
    gain_map = any(mark in tail for mark in _GAIN_MAPS) or (GAIN_MAP in promised and pictures)
    depth = DEPTH in promised and pictures
    film = _FILM.search(tail) is not None or (FILM in promised and not pictures)
    parts += [GAIN_MAP] if gain_map else []
    parts += [DEPTH] if depth else []
    parts += [FILM] if film else []
    if listed - 1 > gain_map + depth or (pictures and not (gain_map or depth or film)):
        parts.append(FURTHER)
    return tuple(parts or [OTHER])
