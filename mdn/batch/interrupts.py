"""Ctrl-C while a result is being written: the first waits for the end of the write."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = False


def _wait(number: int, frame: FrameType | None) -> None:
    global _asked
    leave()  # a second one does not wait
    _asked = True


@contextmanager
def held() -> Iterator[None]:
    """Within it, the first Ctrl-C is only remembered, for `leave`; a second one interrupts.

    Where Ctrl-C does something else than raise KeyboardInterrupt, it goes on doing so.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def leave() -> None:
    """Raises the KeyboardInterrupt that was remembered, if any."""
    global _asked
    asked, _asked = _asked, False
    if asked:
        raise KeyboardInterrupt
