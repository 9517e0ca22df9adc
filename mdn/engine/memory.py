"""How much memory there is, and how large a tile fits into it."""

import ctypes
import sys

import psutil
import torch

from mdn.errors import OutOfMemoryError, UsageError

ROUNDING = 16  # MiB by which a second run may hold more than the first one did
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_size(text: str) -> int:
    """ "1G", "512M", "1.5GiB" or plain bytes, as bytes. Raises UsageError."""
    bare = text.strip().upper().removesuffix("IB").removesuffix("B")
    number, unit = (bare[:-1], bare[-1:]) if bare[-1:] in UNITS and bare[-1:] else (bare, "")
    try:
        size = float(number) * UNITS[unit]
    except ValueError:
        size = -1.0
    if not 0 < size < 2**60:
        raise UsageError(f"{text!r} is not a size in memory; write 800M or 2G")
    return int(size)


def resident() -> int:
    """Bytes of main memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


def give_back_at_once() -> None:
    """From now on the C library returns freed blocks of a megabyte or more to the system.

    By itself glibc keeps blocks of up to 32 MiB for later, in pieces that a larger one cannot use:
    up to 100 MiB in a run of 600, another number each time. Others already do this.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_THRESHOLD, 2**20)


def available(device: torch.device) -> int:
    """Bytes that can still be had on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def largest_tile(
    budget: int, bytes_per_pixel: float, wanted: int, least: int, cap: int | None = None
) -> int:
    """The tile of at most `wanted` pixels a side whose work fits into `budget` bytes.

    Args:
        budget: bytes that are left for tiles.
        wanted, least: sides in pixels.
        cap: bytes of --max-memory, of which `budget` is left; or None.

    Raises OutOfMemoryError: not even the least tile fits; says how much would do.
    """
    side = int(max(0, budget / bytes_per_pixel) ** 0.5)
    if side < least:
        need = int(least * least * bytes_per_pixel)
        if cap is None:
            free, wants = max(0, budget) >> 20, (need >> 20) + 1
            raise OutOfMemoryError(
                f"needs {wants} MiB for its smallest tile, and {free} MiB are free;"
                " close other programs or choose a smaller model"
            )
        enough = (cap - budget + need >> 20) + ROUNDING
        raise OutOfMemoryError(
            f"its smallest tile needs --max-memory {enough}M, and {cap >> 20}M were given;"
            " raise it or choose a smaller model"
        )
    return min(side, wanted)


def is_oom(error: BaseException) -> bool:
    """Whether an error says that memory ran out: PyTorch's CPU allocator has no type of its own."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
