"""Batches drawn ahead in another process, in the order and with the content they would have had."""

import signal
from collections.abc import Callable, Iterator

from torch.utils.data import DataLoader, Dataset

from mdn.training.degrade import Sample

AHEAD = 3  # batches a worker keeps ready


class _Steps(Dataset[Sample]):
    def __init__(self, draw: Callable[[int], Sample]) -> None:
        self.draw = draw

    def __getitem__(self, step: int) -> Sample:
        return self.draw(step)


def batches(draw: Callable[[int], Sample], first: int, last: int, workers: int) -> Iterator[Sample]:
    """draw(step) of every step from first to last - 1.

    Args:
        draw: depends on the step alone, so that it does not matter which process calls it.
        workers: processes that draw ahead; 0 to draw here.
    """
    if not workers:
        yield from map(draw, range(first, last))
        return
    yield from DataLoader(
        _Steps(draw),
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        prefetch_factor=AHEAD,
        worker_init_fn=_leave_interrupts,
        multiprocessing_context="fork",  # the pictures are not copied
    )


def _leave_interrupts(_: int) -> None:
    """Ctrl-C is the training's to handle, which ends its workers when its step is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
