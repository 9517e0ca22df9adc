"""Where to compute, and in what precision.

Names of processors do not tell whether bf16 is fast: with matrix units (AMX) it is many times
faster than float32, with AVX512-BF16 alone two to four times, with neither it is emulated and
slower. So it is measured once and remembered.
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

from mdn.errors import UsageError

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(wish: str = "auto") -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps` as a device that is really there.

    Raises UsageError: no such device on this machine.
    """
    if wish == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = wish.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise UsageError(f"unknown device {wish!r}; choose auto, cpu, cuda, cuda:N or mps")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device mps: this machine has no Apple GPU that PyTorch can use")
    if kind == "cuda":
        count = torch.cuda.device_count()
        if not count:
            raise UsageError("device cuda: PyTorch sees no NVIDIA GPU on this machine")
        if int(number or 0) >= count:
            raise UsageError(f"device {wish}: this machine has cuda:0 to cuda:{count - 1}")
    return torch.device(wish)


def choose_precision(
    wish: str, device: torch.device, safe: tuple[str, ...] = ("fp32", "bf16", "fp16")
) -> torch.dtype | None:
    """The dtype to autocast to, or None for float32 throughout.

    Args:
        wish: auto, fp32, bf16 or fp16. `auto` takes the fastest that is safe for the net.
        safe: precisions in which the net is known to keep its quality.

    Raises UsageError: unknown name.
    """
    if wish in PRECISIONS:
        return PRECISIONS[wish]
    if wish != "auto":
        raise UsageError(f"unknown precision {wish!r}; choose auto, {', '.join(PRECISIONS)}")
    if "bf16" in safe and _fast_bf16(device):
        return torch.bfloat16
    return torch.float16 if "fp16" in safe and device.type == "mps" else None


def _fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    return torch.cpu._is_amx_tile_supported() or bf16_is_fast()


CHANNELS, SIDE = 64, 96  # of the convolution that is timed: as in the nets, some milliseconds
ROUNDS = 3  # of each precision in turn; the best counts, so that other work does not decide
WORTH = 0.85  # share of float32's time below which bf16 is taken
CPUINFO = Path("/proc/cpuinfo")
NAMED = ("model name", "CPU implementer", "CPU part")  # of x86, and of ARM, which has no names
CACHE = Path(platformdirs.user_cache_dir("mdn")) / "bf16.json"


def bf16_is_fast() -> bool:
    """Whether convolutions on this processor are faster in bf16; measured where it is not known."""
    key, results = _processor(), _read()
    if key not in results:
        results[key] = _measure()
        _write(results)
    return results[key]


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
    x, weight = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, weight))
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
        results = json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return results if isinstance(results, dict) else {}


def _write(results: dict[str, bool]) -> None:
    """Remember; where that cannot be, it is measured again the next time."""
    part = CACHE.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(results), encoding="utf-8")
        part.replace(CACHE)
