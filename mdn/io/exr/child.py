"""The parent's end of the OpenEXR process: one while it lives, a new one after a crash."""

import atexit
import contextlib
import subprocess
import sys
import threading
from typing import Any

import numpy as np

from mdn.errors import FileError
from mdn.io.base import DAMAGED
from mdn.io.exr import worker

SECONDS = 20.0  # for any file, and
SECONDS_PER_BYTE = 1 / 2e6  # for each byte of its pixels: a slow disk and a slow codec


class Child:
    """The process, started when first needed.

    Attributes:
        script: what it runs.
        seconds: the least time that a request gets.
    """

    def __init__(self, script: str = worker.__file__, seconds: float = SECONDS) -> None:
        self.script, self.seconds = script, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(
        self, name: str, request: dict[str, Any], arrays: list[np.ndarray], nbytes: int
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """One request and its answer.

        nbytes: size of the pixels; it bounds time and memory.
        Raises FileError: the library refuses the file, crashes on it, or takes too long.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            late = threading.Event()
            seconds = self.seconds + nbytes * SECONDS_PER_BYTE

            def give_up() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(seconds, give_up)
            timer.daemon = True
            timer.start()
            try:
                # The file's own copy in the library, the arrays, and one more on the way to us.
                worker.send(process.stdin, request | {"memory": 4 * nbytes}, arrays)  # type: ignore[arg-type]
                received = worker.receive(process.stdout)  # type: ignore[arg-type]
            except BrokenPipeError:
                received = None
            except BaseException:  # an interrupt leaves half an answer in the pipe
                self.close()
                raise
            finally:
                timer.cancel()
            if received is None:
                self.close()
                said = (
                    "takes the OpenEXR library too long" if late.is_set() else "crashes its library"
                )
                raise FileError(name, f"is a damaged OpenEXR file: {said}", DAMAGED)
            answer, result = received
            if "error" in answer:
                raise FileError(name, f"OpenEXR refuses it ({answer['error']})", DAMAGED)
            return answer, result

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                # -P: the folder of the script is no place to import from.
                [sys.executable, "-P", "-W", "ignore", self.script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def close(self) -> None:
        """Ends the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


CHILD = Child()
atexit.register(CHILD.close)
