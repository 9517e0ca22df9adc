"""Ctrl-C before there is anything to tidy. Imports next to nothing, since that is its time."""

from __future__ import annotations

import os
import signal
from types import FrameType

# Exit codes: 128 + the signal's number, as shells have them.
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143


def _leave(number: int, frame: FrameType | None) -> None:
    """An exception would end in a traceback of whatever was being imported."""
    os.write(2, b"mdn: interrupted\n")
    os._exit(INTERRUPTED)


def leave_at_once() -> None:
    """Until `unwind`, Ctrl-C is one line; where it is ignored, as under nohup, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def unwind() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt, so that what was begun is tidied."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
