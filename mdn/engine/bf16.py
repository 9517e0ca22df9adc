"""Whether this processor computes faster in bf16, measured once and remembered.

Names of processors do not tell: with matrix units (AMX) bf16 is many times faster than float32,
with AVX512-BF16 alone two to four times, with neither it is emulated and slower.
"""

import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path

import platformdirs
import torch
import torch.nn.functional as F

CHANNELS, SIDE = 64, 96  # of the convolution that is timed: as in the nets, some milliseconds
ROUNDS = 3  # of each precision in turn; the best counts, so that other work does not decide
WORTH = 0.85  # share of float32's time below which bf16 is taken
CPUINFO = Path("/proc/cpuinfo")
NAMED = ("model name", "CPU implementer", "CPU part")  # of x86, and of ARM, which has no names
CACHE = Path(platformdirs.user_cache_dir("mdn")) / "bf16.json"


def is_fast() -> bool:
    """Whether convolutions on this processor are faster in bf16; measured where it is not known."""
    key, known = _processor(), _read()
    if key not in known:
        known[key] = _measure()
        _write(known)
    return known[key]


def _measure() -> bool:
    """Both precisions in turn, some 20 ms in all."""
    best = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    with torch.inference_mode():
        for round_number in range(ROUNDS + 1):
            for dtype in best:
                seconds = _time_of(dtype)
                if round_number:  # the first call of each compiles its kernel
                    best[dtype] = min(best[dtype], seconds)
    return best[torch.bfloat16] < WORTH * best[torch.float32]


def _time_of(dtype: torch.dtype) -> float:
    x = torch.zeros(1, CHANNELS, SIDE, SIDE, dtype=dtype)
    weight = torch.zeros(CHANNELS, CHANNELS, 3, 3, dtype=dtype)
    x, weight = (each.contiguous(memory_format=torch.channels_last) for each in (x, weight))
    begun = time.perf_counter()
    F.conv2d(x, weight, padding=1)
    return time.perf_counter() - begun


def _processor() -> str:
    """What the answer depends on. A home folder may be shared by machines of several kinds."""
    names = {platform.machine(), platform.processor()}
    if CPUINFO.exists():
        lines = CPUINFO.read_text(errors="replace").splitlines()
        names |= {line for line in lines if line.startswith(NAMED)}
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{' '.join(sorted(names))} {capability} {os.cpu_count()} torch {torch.__version__}"


def _read() -> dict[str, bool]:
    try:
        found = json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(known: dict[str, bool]) -> None:
    """Remember; where that cannot be, it is measured again the next time."""
    part = CACHE.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(known), encoding="utf-8")
        part.replace(CACHE)
