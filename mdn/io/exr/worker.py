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


def read(request: dict[str, Any]) -> dict[str, Any]:
    """The channels of every part."""
    with OpenEXR.File(request["path"], separate_channels=True, num_threads=0) as file:
        parts = [
            {name: np.ascontiguousarray(channel.pixels) for name, channel in part.channels.items()}
            for part in file.parts
        ]
    return {"parts": parts}


def write(request: dict[str, Any]) -> dict[str, Any]:
    """Writes the parts; the header holds what the library needs to lay out the chunks."""
    parts = [
        OpenEXR.Part(_header(part), part["channels"], part["name"]) for part in request["parts"]
    ]
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


def receive(stream: BinaryIO) -> dict[str, Any] | None:
    """One message; None at the end of the stream."""
    try:
        return pickle.load(stream)
    except (EOFError, pickle.UnpicklingError):
        return None


def send(stream: BinaryIO, message: dict[str, Any]) -> None:
    """One message."""
    pickle.dump(message, stream, protocol=5)
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
    while (request := receive(sys.stdin.buffer)) is not None:
        try:
            _limit(request["memory"])
            answer = read(request) if request["what"] == "read" else write(request)
        except MemoryError:
            answer = {"error": "it takes more memory than its size explains"}
        except Exception as problem:  # the binding raises whatever it stumbles over
            answer = {"error": " ".join(str(problem).split())[:200] or "unknown"}
        del request
        send(replies, answer)
        del answer


if __name__ == "__main__":
    main()
