"""Ctrl-C while a result is being written: the first waits for the end of the write."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = False


@contextmanager
def held() -> Iterator[None]:
    """Within it, the first Ctrl-C is only remembered, for `leave`; a second one interrupts.

    Where Ctrl-C is ignored, it stays so.
    """
    usual = signal.getsignal(signal.SIGINT)
    if not callable(usual) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def wait(number: int, frame: FrameType | None) -> None:
        global _asked
        if _asked:  # a second one does not wait
            signal.signal(signal.SIGINT, usual)  # `finally` below may be interrupted before it has
            leave()
        _asked = True

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def leave() -> None:
    """Raises the KeyboardInterrupt that was remembered, if any."""
    global _asked
    asked, _asked = _asked, False
    if asked:
        raise KeyboardInterrupt
