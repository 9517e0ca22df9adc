"""The OpenEXR library in a process of its own: run as a script, it imports nothing of mdn.

A damaged file can crash the C library or make it allocate without end. Here it takes down no more
than this process, which has a limit to its memory; who started it limits its time.

Requests come pickled on standard input, and answers leave the same way. The library prints
warnings: they go to the null device, never between the answers.
"""

import os
import pickle
import sys
from typing import Any, BinaryIO

import numpy as np
import OpenEXR

SPARE = 256 * 2**20  # bytes beside the pixels


def read(request: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The channels of every part."""
    described: list[Any] = []
    arrays: list[np.ndarray] = []
    with OpenEXR.File(request["path"], separate_channels=True, num_threads=0) as file:
        for part in file.parts:
            channels = []
            for name, channel in part.channels.items():
                pixels = np.ascontiguousarray(channel.pixels)
                channels.append([name, str(pixels.dtype), list(pixels.shape)])
                arrays.append(pixels)
            described.append(channels)
    return {"parts": described}, arrays


def write(request: dict[str, Any], arrays: list[np.ndarray]) -> dict[str, Any]:
    """Writes the parts; the header holds what the library needs to lay out the chunks."""
    given = iter(arrays)
    parts = []
    for part in request["parts"]:
        header = _header(part)
        channels = {name: next(given) for name, _, _ in part["channels"]}
        parts.append(OpenEXR.Part(header, channels, part["name"]))
    with OpenEXR.File(parts, num_threads=0) as file:
        file.write(request["path"])
    return {}


def _header(part: dict[str, Any]) -> dict[str, Any]:
    windows = {
        key: tuple(np.array(part[key][at : at + 2], np.int32) for at in (0, 2))
        for key in ("dataWindow", "displayWindow")
    }
    header: dict[str, Any] = {
        "compression": getattr(OpenEXR, part["compression"] + "_COMPRESSION"),
        "type": OpenEXR.tiledimage if part["tile"] else OpenEXR.scanlineimage,
        "lineOrder": (OpenEXR.INCREASING_Y, OpenEXR.DECREASING_Y, OpenEXR.RANDOM_Y)[part["order"]],
    }
    if part["level"] is not None:
        header["dwaCompressionLevel"] = part["level"]
    if part["tile"]:
        tiles = OpenEXR.TileDescription()
        tiles.xSize, tiles.ySize = part["tile"]
        tiles.mode = OpenEXR.ONE_LEVEL
        header["tiles"] = tiles
    return header | windows


def receive(stream: BinaryIO) -> tuple[dict[str, Any], list[np.ndarray]] | None:
    """One message; None at the end of the stream."""
    try:
        return pickle.load(stream)
    except (EOFError, pickle.UnpicklingError):
        return None


def send(stream: BinaryIO, message: dict[str, Any], arrays: list[np.ndarray]) -> None:
    """One message."""
    pickle.dump((message, arrays), stream, protocol=5)
    stream.flush()


def _limit(nbytes: int) -> None:
    """Bounds the address space; where the system knows no such limit, time alone is bounded."""
    try:
        import resource
    except ImportError:
        return
    try:
        with open("/proc/self/statm") as stream:
            held = int(stream.read().split()[0]) * resource.getpagesize()
    except OSError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = held + nbytes + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def main() -> None:
    """Answers requests until standard input ends."""
    replies = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    while (received := receive(sys.stdin.buffer)) is not None:
        request, arrays = received
        try:
            _limit(request["memory"])
            if request["what"] == "read":
                answer, result = read(request)
            else:
                answer, result = write(request, arrays), []
        except MemoryError:
            answer, result = {"error": "it takes more memory than its size explains"}, []
        except Exception as problem:  # the binding raises whatever it stumbles over
            answer, result = {"error": " ".join(str(problem).split())[:200] or "unknown"}, []
        del arrays
        send(replies, answer, result)
        del result


if __name__ == "__main__":
    main()
