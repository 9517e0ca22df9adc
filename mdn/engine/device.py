"""Where to compute, and in what precision."""

import torch

from mdn.engine import bf16
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
    return torch.cpu._is_amx_tile_supported() or bf16.is_fast()
