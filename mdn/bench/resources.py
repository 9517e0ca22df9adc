"""What a piece of work took: seconds, and the most memory it held."""

import threading
import time
from typing import Self

import torch

from mdn.engine.memory import resident

PERIOD = 0.01  # seconds between two looks at main memory


class Usage:
    """Measures the work in its `with` block.

    Attributes:
        seconds: wall-clock time.
        peak: bytes. On a GPU what PyTorch had allocated there; else what the whole process held in
            main memory, looked at every 10 ms, since the system's own high-water mark never falls.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds, self.peak = 0.0, 0
        self._gpu = device if device.type == "cuda" else None
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if self._gpu is not None:
            torch.cuda.reset_peak_memory_stats(self._gpu)
        else:
            self.peak = resident()
            self._watcher.start()
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._begun
        if self._gpu is not None:
            self.peak = torch.cuda.max_memory_allocated(self._gpu)
        else:
            self._over.set()
            self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(PERIOD):
            self.peak = max(self.peak, resident())
