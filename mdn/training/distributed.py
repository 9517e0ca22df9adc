"""One process among those of a run: alone, or started by torchrun."""

import gc
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from mdn.errors import UsageError


@dataclass(frozen=True)
class Processes:
    """Who takes part. rank 0 writes the files."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def agree(self, flag: bool) -> bool:
        """True on every process once it is true on one, so that all stop at the same step."""
        if self.count == 1:
            return flag
        shared = torch.tensor([float(flag)], device=self.device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return bool(shared.item())

    def mean(self, value: Tensor) -> float:
        """The mean of a scalar over the processes."""
        if self.count > 1:
            dist.all_reduce(value)
            value = value / self.count
        return value.item()


def join(device: torch.device) -> Processes:
    """Meet the other processes that torchrun started, if any.

    Raises UsageError: the processes cannot find each other.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes(0, 1, device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"the processes of this run cannot meet: {error}") from error
    return Processes(dist.get_rank(), dist.get_world_size(), device)


def leave() -> None:
    """Part from the other processes, once nothing of the run is in use any more.

    A net that still shares its gradients when Python ends aborts the process, now and then.
    """
    if dist.is_available() and dist.is_initialized():
        gc.collect()
        dist.destroy_process_group()
