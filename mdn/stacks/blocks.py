"""A large stack in blocks of whole chunks, so that no two workers write one: for Dask and shards.

A block is computed on the tiles that the whole plane would have, so the result is that of one
process, bit for bit. A folder beside the output holds what is done: a copy of the Zarr store in
which chunks are replaced, or, of a TIFF, whose compressed tiles have no fixed place, the rows of
each block. The last step builds the pyramid and gives the output its name.
"""

import contextlib
import hashlib
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdn.engine.run import TILE
from mdn.io.atomic import locked, name_folder
from mdn.io.stack import Plane, RowsWriter, StackWriter
from mdn.io.zarr.rewrite import ZarrRewriter, check_target, copy_store
from mdn.io.zarr.stack import ZARR
from mdn.jobs.job import Job
from mdn.jobs.manifest import settings_hash, stamp
from mdn.pipeline.models import Models
from mdn.pipeline.plan import Adapter
from mdn.stacks.planes import NonFinite, PlaneSelection
from mdn.stacks.stack_job import (
    KINDS,
    Channels,
    Loaded,
    about,
    channels_of,
    denoise_page,
    kind_of,
    models_for,
    opened,
    pages_of,
)

PIXELS = 2**24  # of a block, at least
ROWS = 4 * TILE  # ... of a plane that is cut: a tile's surroundings are computed in both blocks


@dataclass(frozen=True)
class Block:
    """Rows start..stop of the pages with these numbers among those that are denoised."""

    pages: tuple[int, ...]
    start: int
    stop: int


def blocks_of(pages: Sequence[Sequence[Plane]]) -> Iterator[Block]:
    """Pages that share chunks stay together; large planes are cut across, small ones joined."""
    chunks: dict[tuple[Any, ...], list[int]] = {}
    for number, planes in enumerate(pages):
        chunk = planes[0].rows.chunk
        chunks.setdefault((planes[0].series, number if chunk is None else chunk), []).append(number)
    joined: list[int] = []
    for numbers in chunks.values():
        height, width, _ = pages[numbers[0]][0].shape
        step = pages[numbers[0]][0].rows.block_height
        rows = max(ROWS, math.ceil(PIXELS / (width * len(numbers))))
        rows = -(-rows // step) * step
        if rows < height:
            for start in range(0, height, rows):
                yield Block(tuple(numbers), start, min(height, start + rows))
            continue
        same = not joined or pages[joined[0]][0].shape[:2] == (height, width)
        if joined and (not same or (len(joined) + len(numbers)) * height * width > PIXELS):
            yield Block(tuple(joined), 0, pages[joined[0]][0].shape[0])
            joined = []
        joined += numbers
    if joined:
        yield Block(tuple(joined), 0, pages[joined[0]][0].shape[0])


@dataclass(frozen=True)
class Blocks:
    """A stack that was cut."""

    job: Job  # what is read and written
    selection: PlaneSelection  # its planes
    channels: Channels  # what is known of its gray channels
    jpeg_quality: int  # of JPEG inside of TIFF
    folder: Path  # what is done
    all: tuple[Block, ...]  # the blocks
    neighbours: int | None = None  # planes before and after one that help it; None: as usual
    # the models and their options, where they were fitted to the stack
    fitted: Loaded | None = None

    @property
    def missing(self) -> list[int]:
        """Numbers of the blocks that are not done."""
        return [number for number in range(len(self.all)) if not self._mark(number).exists()]

    def _mark(self, number: int) -> Path:
        return self.folder / f"{number}.done"

    def do(self, number: int, batch: Any) -> int:
        """Denoises one block by `batch.models`; how many of its samples are no numbers."""
        block, non_finite, kind = self.all[number], NonFinite(), kind_of(self.job)
        with opened(self.job, self.selection, self.neighbours) as (stack, chosen, around):
            loaded = self.fitted or models_for(stack, chosen, self.channels, batch.models, None)
            out: StackWriter = _Parts(self.folder, number)
            if kind == ZARR:
                out = ZarrRewriter(stack, self.folder / "store")
            pages, wanted = pages_of(chosen), (block.start, block.stop)
            for page in block.pages:
                denoise_page(
                    loaded, self.channels, non_finite, out, pages[page], around, wanted=wanted
                )
        self._mark(number).touch()
        return non_finite.count

    def finish(self) -> dict[str, Any]:
        """Writes the output of all blocks; facts about it."""
        target = self.job.target
        assert target is not None
        with opened(self.job, self.selection, 0) as (stack, chosen, _):
            if kind_of(self.job) == ZARR:
                writer = ZarrRewriter(stack, self.folder / "store")
                writer.count(chosen)
                writer.rebuild_pyramids()
                name_folder(self.folder / "store", target, overwrite=self.job.overwrite)
            else:
                _, rewrite_it = KINDS["tiff"]
                overwrite = self.job.overwrite
                with rewrite_it(stack, target, self.jpeg_quality, overwrite=overwrite) as out:
                    for page, planes in enumerate(pages_of(chosen)):
                        with out.page(planes) as rows:
                            self._copy_page(page, rows)
            details = stack.describe() | {"planes": len(chosen), "blocks": len(self.all)}
        shutil.rmtree(self.folder, ignore_errors=True)
        return details

    def finish_once(self) -> dict[str, Any] | None:
        """As `finish`, if no block is missing and nobody else is at it; else None."""
        try:
            with open(self.folder / "lock", "w") as lock, locked(lock.fileno()) as mine:
                return self.finish() if mine and not self.missing else None
        except FileNotFoundError:  # done, and the folder is gone
            return None

    def _copy_page(self, page: int, rows: RowsWriter) -> None:
        """The parts of one page, from the top down, a few rows at a time."""
        for number, block in enumerate(self.all):
            if page in block.pages:
                part = np.load(_part(self.folder, number, block.pages.index(page)), mmap_mode="r")
                few = max(1, 2**22 // part[0].size)
                for top in range(0, len(part), few):
                    rows.write(block.start + top, np.array(part[top : top + few]))


def cut(
    job: Job,
    models: Models,
    selection: PlaneSelection,
    encoding: str,
    jpeg_quality: int,
    mark: Sequence[object],
    adapter: Adapter | None = None,
    neighbours: int | None = None,
) -> tuple[Blocks, dict[str, Any]] | None:
    """The blocks of a stack, and facts about it; None where it is no large stack.

    Args:
        selection, encoding, jpeg_quality, adapter, neighbours: as of `stack_job.denoise`.
        mark: settings that change the result, weights included: blocks that were done with the
            same, of the same input, are not done again.

    Raises FileError: it cannot be read, or has no such planes.
    """
    kind = kind_of(job)
    if not kind or job.std_target is not None or models.options().strength == 0:
        return None
    assert job.source is not None
    assert job.target is not None
    number = neighbours if adapter is None else 0
    with opened(job, selection, number) as (stack, chosen, around):
        if not selection.given and stack.photo:
            return None
        cuts = tuple(blocks_of(pages_of(chosen)))
        if len(cuts) < 2:
            return None
        channels = channels_of(stack, chosen, encoding, models, around, number)
        details = about(channels, models, job.name)
        fitted = None if adapter is None else models_for(stack, chosen, channels, models, adapter)
        nets = [model.net for model, _ in fitted.values()] if fitted else []
        weights = [array.detach().cpu().numpy() for net in nets for array in net.parameters()]
        prints = [hashlib.sha256(array.tobytes()).hexdigest() for array in weights]
        key = settings_hash("blocks", map(repr, (cuts, stamp(job.source), *mark, prints)))
        folder = job.target.parent / f".{job.target.name}.mdn-{key}.blocks"
        folder.mkdir(parents=True, exist_ok=True)
        if kind == ZARR:
            check_target(stack, job.target)
            if not (folder / "store").exists():  # the copy whose chunks are replaced
                own = folder / f"store-{os.getpid()}"
                own.mkdir()
                copy_store(stack, own)
                with contextlib.suppress(OSError):  # another shard was first
                    own.rename(folder / "store")
                shutil.rmtree(own, ignore_errors=True)
    return Blocks(job, selection, channels, jpeg_quality, folder, cuts, number, fitted), details


class _Parts:
    """Takes the rows of a block of a TIFF: a file for each page, to be put together at the end."""

    def __init__(self, folder: Path, block: int) -> None:
        self._folder, self._block, self._count = folder, block, 0
        self._held: list[np.ndarray] = []  # rows of the page at hand
        self._next = -1

    @contextmanager
    def page(self, planes: Sequence[Plane]) -> Iterator[RowsWriter]:
        self._held, self._next = [], -1
        yield self
        np.save(_part(self._folder, self._block, self._count), np.concatenate(self._held))
        self._count += 1

    def write(self, start: int, block: np.ndarray) -> None:
        self._held = [*self._held, block] if start == self._next else [block]
        self._next = start + len(block)


def _part(folder: Path, block: int, page: int) -> Path:
    return folder / f"{block}-{page}.npy"
