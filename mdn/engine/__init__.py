"""Runs a net over pictures: devices, precision, tiles, memory."""

from mdn.engine.device import choose_device, choose_precision
from mdn.engine.memory import parse_size
from mdn.engine.run import (
    Decode,
    Encode,
    Infer,
    NetGeometry,
    RowStream,
    Runtime,
    StdOutput,
    rows_of,
    run,
    stream,
)

__all__ = [
    "Decode",
    "Encode",
    "Infer",
    "NetGeometry",
    "RowStream",
    "Runtime",
    "StdOutput",
    "choose_device",
    "choose_precision",
    "parse_size",
    "rows_of",
    "run",
    "stream",
]
