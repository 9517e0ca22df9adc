"""Runs a net over pictures: devices, precision, tiles, memory."""

from mdn.engine.device import choose_device, choose_precision
from mdn.engine.memory import parse_size
from mdn.engine.run import Infer, Needs, Runtime, run

__all__ = ["Infer", "Needs", "Runtime", "choose_device", "choose_precision", "parse_size", "run"]
