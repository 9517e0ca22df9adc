"""Ctrl-C and other signals, from the first line of the program to its last.

Imports next to nothing, since it comes before the imports that take their time. For the whole
program one handler stays and looks at `phase`: between two handlers there would be a moment for a
traceback of Python's, or for none. A write (`held`) and a training step (`StopRequest`) ask for
more time.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Literal, Self

# Exit codes: 128 + the signal's number, as shells have them.
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143

# "working": Ctrl-C raises KeyboardInterrupt, so that what was begun is tidied. Before and after
# there is nothing to tidy.
phase: Literal["starting", "working", "over"] = "starting"

_pending = False  # a Ctrl-C came within `held`, and has not been raised yet


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
    if "--json" in sys.argv and phase == "starting":  # too early for `cli.failures.document`
        words = [word for word in sys.argv[1:] if word.isalpha()]
        line = f'{{"command": "{(words or [""])[0]}", "error": "{error}", "exit_code": {code}}}\n'
        os.write(1, line.encode())
    os._exit(code)


def leave_at_once() -> None:
    """Minds signals from now on; where Ctrl-C is ignored, as under nohup, it stays so."""
    signal.signal(signal.SIGTERM, _leave)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


@contextmanager
def held() -> Iterator[None]:
    """Within it, the first Ctrl-C is only remembered, for `raise_pending`; a second interrupts.

    Where Ctrl-C is ignored, it stays so.
    """
    usual = signal.getsignal(signal.SIGINT)
    if not callable(usual) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def wait(number: int, frame: FrameType | None) -> None:
        global _pending
        if _pending:  # a second one does not wait
            signal.signal(signal.SIGINT, usual)  # `finally` below may be interrupted before it has
            raise_pending()
        _pending = True

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def raise_pending() -> None:
    """Raises the KeyboardInterrupt that was remembered, if any."""
    global _pending
    pending, _pending = _pending, False
    if pending:
        raise KeyboardInterrupt


class StopRequest:
    """Within it SIGTERM and Ctrl-C are a request to stop after the step at hand, which is polled.

    A second Ctrl-C does not wait.

    Attributes:
        signal: the number of the first signal, or 0.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._former: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.signal > 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
