"""Runs a net over pictures: devices, precision, tiles, memory."""

from mdn.engine.device import choose_device, choose_precision
from mdn.engine.memory import parse_size
from mdn.engine.run import Decode, Encode, Infer, Needs, Runtime, Strip, run, stream, strip_of

__all__ = [
    "Decode",
    "Encode",
    "Infer",
    "Needs",
    "Runtime",
    "Strip",
    "choose_device",
    "choose_precision",
    "parse_size",
    "run",
    "stream",
    "strip_of",
]
