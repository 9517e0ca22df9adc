"""EXR files for the tests: every kind of channel, part and attribute."""

from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

WINDOW = (-5, 3, 34, 26)  # 40 x 24 pixels, unlike the display window
DISPLAY = (0, 0, 29, 31)


def box(window: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(window[:2], np.int32), np.array(window[2:], np.int32)


def channels(seed: int = 0, shape: tuple[int, int] = (24, 40)) -> dict[str, np.ndarray]:
    """Half, float and uint; ids beyond 2**31; bits that are NaN, infinite, negative, denormal."""
    random = np.random.default_rng(seed)
    half = random.integers(0, 2**16, shape, dtype=np.uint16).view(np.float16)
    full = random.integers(0, 2**32, shape, dtype=np.uint32).view(np.float32)
    ids = random.integers(0, 2**32, shape, dtype=np.uint32)
    beauty = {key: random.gamma(1.0, 0.5, shape).astype(np.float16) for key in "RGBA"}
    odd = {"a.b.c.half": half, "depth.Z": full, "crypto00.red": full[::-1].copy(), "id": ids}
    return beauty | odd


def header(**more: Any) -> dict[str, Any]:
    return {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "dataWindow": box(WINDOW),
        "displayWindow": box(DISPLAY),
        "pixelAspectRatio": 2.0,
        "owner": "nobody",
        "samples": 16,
        "worldToCamera": np.eye(4, dtype=np.float32),
    } | more


def tiled(**more: Any) -> dict[str, Any]:
    tiles = OpenEXR.TileDescription()
    tiles.xSize, tiles.ySize, tiles.mode = 16, 8, OpenEXR.ONE_LEVEL
    return header(type=OpenEXR.tiledimage, tiles=tiles, **more)


def write(path: Path, *parts: tuple[dict[str, Any], dict[str, np.ndarray]]) -> Path:
    """Parts named p0, p1 ... if there are several."""
    made = [
        OpenEXR.Part(dict(head), dict(planes), f"p{index}" if len(parts) > 1 else "")
        for index, (head, planes) in enumerate(parts)
    ]
    with OpenEXR.File(made) as file:
        file.write(str(path))
    return path


def with_attribute(data: bytes, name: str, kind: str, value: bytes) -> bytes:
    """The single-part scan-line file with one attribute more in front, of any type."""
    from mdn.io.exr import header as headers

    length = headers.parse(data, "sample").length
    block = name.encode() + b"\0" + kind.encode() + b"\0" + len(value).to_bytes(4, "little")
    block += value
    moved = headers._moved(data, length, len(block))
    return data[:8] + block + data[8:length] + moved
