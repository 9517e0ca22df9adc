"""Signals before there is anything to tidy. Imports next to nothing, since that is its time."""

import os
import signal
import sys
from types import FrameType

# Exit codes: 128 + the signal's number, as shells have them.
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143


def _leave(number: int, frame: FrameType | None) -> None:
    """An exception would end in a traceback of whatever was being imported."""
    error, code = "terminated", TERMINATED
    if number == signal.SIGINT:
        error, code = "interrupted", INTERRUPTED
        os.write(2, b"mdn: interrupted\n")
    if "--json" in sys.argv:  # too early for `failures.document`
        words = [word for word in sys.argv[1:] if word.isalpha()]
        found = f'{{"command": "{(words or [""])[0]}", "error": "{error}", "exit_code": {code}}}\n'
        os.write(1, found.encode())
    os._exit(code)


def leave_at_once() -> None:
    """Until `unwind`, Ctrl-C is one line; where it is ignored, as under nohup, it stays so."""
    signal.signal(signal.SIGTERM, _leave)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def unwind() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt, so that what was begun is tidied."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
