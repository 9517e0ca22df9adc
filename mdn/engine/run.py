"""The tiled engine: any net over any picture, in bounded memory.

Rows of tiles are read, encoded, denoised, blended and decoded one after the other, so that no more
than one row of tiles is ever held as floats, however large the picture. `stream` reads it from
wherever it lies and hands on rows as they are done; `run` is that for a picture in memory.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mdn.engine import memory
from mdn.engine.tiles import Span, padded, reflected, smallest_tile, spans
from mdn.engine.transfer import Arrival, Direct, carrier_to
from mdn.errors import OutOfMemoryError

TILE = 640  # pixels: the side of a tile at most, unless the user says otherwise, or..
HALOS = 16  # ..the net looks far: then so many halos, or the overlap costs more than the picture
ROOM = 2**30  # bytes that the work on such a larger tile may take, in float32
CHUNK = 2**19  # samples decoded at once: more would take as much as the band itself
SLACK = 48 * 2**20  # bytes that libraries take on first use, and fragments of freed memory
BATCH_PIXELS = {"cpu": TILE * TILE, "mps": 2**21, "cuda": 2**21}  # of one call of the net

# (batch of B x C x H x W, float32; origin (y, x) of each in the picture) -> the same shape.
Infer = Callable[[Tensor, list[tuple[int, int]]], Tensor]
Encode = Callable[[np.ndarray], np.ndarray]
# (first row, values, their standard deviation), both (h, W, C) and encoded.
StdOutput = Callable[[int, np.ndarray, np.ndarray], None]
# (values float32 (h, W, C), the stored samples (h, W, S) that they are of, the first row of them)
# -> stored samples.
Decode = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class NetGeometry:
    """What the engine must know of a net."""

    halo: int  # pixels from a tile's edge that its result is not to be trusted
    multiple: int  # H and W must be multiples of it
    bytes_per_pixel: float  # peak working memory of a call, in float32, by pixel of its input


@dataclass(frozen=True)
class Runtime:
    """How to compute."""

    # device, dtype: where, and in what precision (None: float32)
    device: torch.device
    dtype: torch.dtype | None = None
    # bytes that the process may hold in all, or None for what the machine has
    max_memory: int | None = None
    tile: int | None = None  # largest side of a tile in pixels, or None to choose


@dataclass(frozen=True)
class RowStream:
    """A picture that is read and written in bands of whole rows."""

    # height, width: in pixels
    height: int
    width: int
    channels: int  # that the encoding makes of it
    # (start, stop) -> rows start..stop as stored, (stop - start, width, samples). Asked for from
    # the top down, each row once in a pass.
    read: Callable[[int, int], np.ndarray]
    # takes (start, rows), from the top down; again from 0 where a pass is begun anew
    write: Callable[[int, np.ndarray], None]
    row_bytes: int  # of one row as stored
    reserved: int = 0  # bytes that will be held for it elsewhere
    # where it is given, the net answers with twice the channels, the second half being the
    # deviation of the first; it is called before the rows are written
    std_output: StdOutput | None = None
    # (start, stop): only these rows are computed and written, as they come out where all are; None:
    # all
    wanted: tuple[int, int] | None = None

    @property
    def planes(self) -> int:
        """Channels that the net answers with."""
        return self.channels * (1 if self.std_output is None else 2)


def rows_of(picture: np.ndarray, result: np.ndarray) -> RowStream:
    """A picture (H, W, C) in memory, and where it is to be written: an array of its kind."""

    def write(start: int, rows: np.ndarray) -> None:
        result[start : start + len(rows)] = rows

    height, width, channels = picture.shape
    return RowStream(
        height,
        width,
        channels,
        read=lambda start, stop: picture[start:stop],
        write=write,
        row_bytes=picture[0].nbytes,
        reserved=2 * picture.nbytes,  # the result, and the file it will be encoded to
    )


def run(
    infer: Infer,
    geometry: NetGeometry,
    runtime: Runtime,
    picture: np.ndarray,
    encode: Encode,
    decode: Encode,
    progress: Callable[[float], None] = lambda share: None,
    std_output: StdOutput | None = None,
) -> np.ndarray:
    """Denoise one picture.

    Args:
        picture: (H, W, C) as stored, H and W at least 1. Never written to.
        encode, decode: stored samples to float32 and back.
        progress: takes the share done, 0..1, after each batch of tiles.

    Returns:
        (H, W, C) of the picture's dtype.

    Raises OutOfMemoryError: the smallest tile does not fit either.
    """
    result = np.empty_like(picture)
    source = replace(rows_of(picture, result), std_output=std_output)
    stream(infer, geometry, runtime, source, encode, lambda values, *_: decode(values), progress)
    return result


def stream(
    infer: Infer,
    geometry: NetGeometry,
    runtime: Runtime,
    source: RowStream,
    encode: Encode,
    decode: Decode,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Denoise one picture, a band of rows at a time; see `run`.

    Raises OutOfMemoryError: the smallest tile does not fit either.
    """
    tile, call = _first_tile(geometry, runtime, source)
    least = smallest_tile(geometry.halo, geometry.multiple)
    while True:
        try:
            return _pass(infer, geometry, runtime, source, encode, decode, progress, tile, call)
        except (MemoryError, RuntimeError) as error:
            if not memory.is_oom(error):
                raise
            longest = max(source.height, source.width)
            tile = min(tile, padded(longest, geometry.multiple))
            if tile <= least:
                raise OutOfMemoryError(
                    "the device has no memory left for the smallest tile;"
                    " close other programs, or use --device cpu"
                ) from error
            tile = max(tile // 2, least)
            call = 1  # a batch of smaller tiles would take all the memory that they spare
        if runtime.device.type == "cuda":
            torch.cuda.empty_cache()


def _first_tile(geometry: NetGeometry, runtime: Runtime, source: RowStream) -> tuple[int, int]:
    """The wanted tile, or the largest that fits, and the pixels of one call of the net.

    Both are the same on every machine that has the room.
    """
    least = smallest_tile(geometry.halo, geometry.multiple)
    fits = int((ROOM / geometry.bytes_per_pixel) ** 0.5)
    wanted = max(runtime.tile or max(TILE, min(HALOS * geometry.halo, fits)), least)
    reserved = source.reserved
    room = memory.available(runtime.device)
    if runtime.device.type == "cpu":
        room -= reserved
    if runtime.max_memory is not None:
        memory.give_back_at_once()
        room = min(room, runtime.max_memory - memory.resident() - reserved - SLACK)
    # A row of tiles holds, as floats, its blend and a copy; and twice what it is read into.
    band = 3 * 4 * source.width * source.planes + 2 * source.row_bytes
    height, width = (padded(n, geometry.multiple) for n in (source.height, source.width))
    side = max(1, min(wanted, max(height, width)))
    small = min(least, side)
    cost = geometry.bytes_per_pixel + band / max(small, 1)
    tile = max(least, memory.largest_tile(room, cost, side, small, runtime.max_memory))
    call = 1 if runtime.max_memory is not None else int(room / cost)
    return tile, min(call, BATCH_PIXELS[runtime.device.type])


def _pass(
    infer: Infer,
    geometry: NetGeometry,
    runtime: Runtime,
    source: RowStream,
    encode: Encode,
    decode: Decode,
    progress: Callable[[float], None],
    tile: int,
    call: int,
) -> None:
    """The whole picture with tiles of one size, as many to a call as `call` pixels hold."""
    height, width = source.height, source.width
    rows = spans(padded(height, geometry.multiple), tile, geometry.halo, geometry.multiple)
    columns = spans(padded(width, geometry.multiple), tile, geometry.halo, geometry.multiple)
    begin, end_of_all = source.wanted or (0, height)
    rows = [row for row in rows if row.counts_in(begin, end_of_all)]
    blend = np.zeros((0, columns[-1].stop, source.planes), np.float32)
    band: np.ndarray | None = None
    carrier = carrier_to(runtime.device)
    top = rows[0].start  # the picture's row that blend[0] and band[0] stand for
    for index, row in enumerate(rows):
        grown = row.stop - top - blend.shape[0]
        blend = np.concatenate([blend, np.zeros((grown, *blend.shape[1:]), np.float32)])
        held = 0 if band is None else len(band)
        fresh = source.read(top + held, min(row.stop, height))
        band = fresh if band is None else np.concatenate([band, fresh])
        seen = band[row.start - top :]

        def send(batch: list[Span], row: Span = row, seen: np.ndarray = seen) -> Arrival:
            tiles = _read(seen, row, batch, height, encode)
            return _infer(infer, tiles, [(row.start, c.start) for c in batch], runtime, carrier)

        sent = ((done, batch, send(batch)) for done, batch in _batches(columns, row, call))
        for done, batch, outputs in _arrivals(sent, carrier.ahead):
            for column, output in zip(batch, outputs, strict=True):
                # What has no weight may be anything, NaN as well.
                y, x = row.counts, column.counts
                weights = row.weights[y, None, None] * column.weights[None, x, None]
                down, across = row.start - top + y.start, column.start + x.start
                part = blend[down : down + y.stop - y.start, across : across + x.stop - x.start]
                part += output[y, x] * weights
            progress((index + done) / len(rows))
        final = rows[index + 1].start if index + 1 < len(rows) else row.stop
        ready = min(final, end_of_all)
        chunk = max(1, CHUNK // (width * source.planes))
        for start in range(max(top, begin), ready, chunk):
            end = min(start + chunk, ready)
            here = slice(start - top, end - top)
            values, deviation = np.split(blend[here, :width], [source.channels], -1)
            if source.std_output is not None:
                source.std_output(start, values, deviation)
            source.write(start, decode(values, band[here], start))
        blend, band, top = blend[final - top :].copy(), band[final - top :].copy(), final


def _batches(columns: list[Span], row: Span, call: int) -> list[tuple[float, list[Span]]]:
    """The tiles of a row in batches, each with the share of the row that is done after it."""
    pixels = (row.stop - row.start) * (columns[0].stop - columns[0].start)
    size = max(1, call // pixels)
    starts = range(0, len(columns), size)
    return [(min(1.0, (s + size) / len(columns)), columns[s : s + size]) for s in starts]


def _read(band: np.ndarray, row: Span, columns: list[Span], height: int, encode: Encode) -> Tensor:
    """The tiles of a batch as (B, C, H, W) float32, going on by reflection beyond the picture.

    band: rows from row.start on, of a picture of `height` rows.
    """
    width = band.shape[1]
    parts = []
    for column in columns:
        region = band[: row.stop - row.start, column.start : min(column.stop, width)]
        if row.stop > height or column.stop > width:
            down = reflected(row.start, row.stop, height) - row.start
            across = reflected(column.start, column.stop, width)
            region = band[down[:, None], across[None, :]]
        parts.append(encode(region).transpose(2, 0, 1))
    return torch.from_numpy(np.ascontiguousarray(np.stack(parts)))


def _infer(
    infer: Infer, tiles: Tensor, origins: list[tuple[int, int]], runtime: Runtime, carrier: Direct
) -> Arrival:
    """The net on one batch; the answer may still be on its way."""
    kind = runtime.device.type
    cast = nullcontext() if runtime.dtype is None else torch.autocast(kind, runtime.dtype)
    with torch.inference_mode(), cast:
        return carrier.fetch(infer(carrier.send(tiles), origins).float())


def _arrivals(
    sent: Iterable[tuple[float, list[Span], Arrival]], ahead: int
) -> Iterator[tuple[float, list[Span], np.ndarray]]:
    """Answers in order, each waited for when `ahead` more are on their way."""
    coming: deque[tuple[float, list[Span], Arrival]] = deque()
    for each in sent:
        coming.append(each)
        if len(coming) > ahead:
            done, batch, arrive = coming.popleft()
            yield done, batch, arrive()
    for done, batch, arrive in coming:
        yield done, batch, arrive()
