"""Ctrl-C from the first line of the program to its last: one line and exit code 130.

Imports next to nothing, since it comes before the imports that take their time. One handler stays
and looks at `phase`: between two handlers there would be a moment for a traceback of Python's, or
for none.
"""

import os
import signal
import sys
from types import FrameType
from typing import Literal

# Exit codes: 128 + the signal's number, as shells have them.
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143

# "working": Ctrl-C raises KeyboardInterrupt, so that what was begun is tidied. Before and after
# there is nothing to tidy.
phase: Literal["starting", "working", "over"] = "starting"


def _interrupt(number: int, frame: FrameType | None) -> None:
    if phase == "working":
        raise KeyboardInterrupt
    _leave(number, frame)


def _leave(number: int, frame: FrameType | None) -> None:
    """An exception would end in a traceback of whatever was being imported."""
    error, code = "terminated", TERMINATED
    if number == signal.SIGINT:
        error, code = "interrupted", INTERRUPTED
        os.write(2, b"mdn: interrupted\n")
    if "--json" in sys.argv and phase == "starting":  # too early for `failures.document`
        words = [word for word in sys.argv[1:] if word.isalpha()]
        found = f'{{"command": "{(words or [""])[0]}", "error": "{error}", "exit_code": {code}}}\n'
        os.write(1, found.encode())
    os._exit(code)


def leave_at_once() -> None:
    """Minds signals from now on; where Ctrl-C is ignored, as under nohup, it stays so."""
    signal.signal(signal.SIGTERM, _leave)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
