"""The way of tiles to the device, and of the net's answers back.

On a GPU nothing waits for a copy: tiles leave pinned memory on a stream of their own while the net
is busy with those before, and answers come back on it while the net goes on.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Arrival = Callable[[], np.ndarray]  # waits for an answer: (B, H, W, C) float32 in main memory


class Direct:
    """Of a processor, or a GPU that shares its memory: nothing to gain by copying ahead."""

    ahead = 0  # batches that are sent before the answer to the first is asked for

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def send(self, tiles: Tensor) -> Tensor:
        """(B, C, H, W) float32 in main memory -> the same on the device."""
        return tiles.to(self._device)

    def fetch(self, answer: Tensor) -> Arrival:
        """(B, C, H, W) float32 on the device -> what waits for it."""
        return answer.cpu().permute(0, 2, 3, 1).numpy


class Streamed(Direct):
    """Of a CUDA device."""

    ahead = 1

    def __init__(self, device: torch.device, cuda: Any = torch.cuda) -> None:
        """cuda: torch.cuda, or what stands for it in a test."""
        super().__init__(device)
        self._cuda = cuda
        self._copies = cuda.Stream(device)

    def send(self, tiles: Tensor) -> Tensor:
        here = pinned(tiles.shape).copy_(tiles)
        net = self._cuda.current_stream(self._device)
        with self._cuda.stream(self._copies):
            there = here.to(self._device, non_blocking=True)
        net.wait_stream(self._copies)
        there.record_stream(net)  # its memory is not given to others before the net is done
        return there

    def fetch(self, answer: Tensor) -> Arrival:
        here = pinned(answer.shape)
        self._copies.wait_stream(self._cuda.current_stream(self._device))
        with self._cuda.stream(self._copies):
            here.copy_(answer, non_blocking=True)
            answer.record_stream(self._copies)
            arrived = self._cuda.Event()
            arrived.record(self._copies)

        def arrive() -> np.ndarray:
            arrived.synchronize()
            return here.permute(0, 2, 3, 1).numpy()

        return arrive


def carrier_to(device: torch.device) -> Direct:
    """What carries tiles to a device and answers back."""
    return Streamed(device) if device.type == "cuda" else Direct(device)


def pinned(shape: torch.Size) -> Tensor:
    """Main memory (B, C, H, W) that a GPU copies from and to by itself; float32, channels last."""
    return torch.empty(shape, memory_format=torch.channels_last, pin_memory=True)
