"""OME-Zarr as stacks: the multiscale pictures of a folder, opened without reading their pixels.

NGFF 0.4 (Zarr 2) and 0.5 (Zarr 3), and older ones that name no axes; zarr reads the chunks, shards
and codecs. A store is one input however many files it has. Label pictures are no pictures here.
"""

import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdn.errors import FileError, UsageError
from mdn.io.base import DAMAGE, DAMAGED, MAX_SAMPLES, check_size, guarded, quiet
from mdn.io.stack import Plane, PlaneRows, Stack, fill_value_of

ZARR = "zarr"
FILL = "_FillValue"  # of xarray and GeoZarr, after NetCDF
SUFFIX = ".zarr"
STORE = "Zarr store", FileNotFoundError  # of which parts may be missing
_DEPTHS = frozenset({"uint8", "uint16", "uint32", "int8", "int16", "int32"})
_DEPTHS |= {"float16", "float32", "float64"}
_MANY = 2**20  # planes
_BARE = "has no OME multiscales: mdn reads OME-Zarr, no bare arrays", "name a TIFF"
_UNNAMED = "TCZYX"  # the axes before NGFF 0.3, which did not name them


def is_store(path: Path) -> bool:
    """Whether a path is a folder that is one input: a Zarr store."""
    try:
        return path.suffix.lower() == SUFFIX and path.is_dir()
    except (OSError, ValueError):
        return False


class ZarrRows(PlaneRows):
    """A picture in an array, with all its channels where one chunk holds them.

    Args:
        array: a zarr array whose last axes are y and x.
        place: where on its other axes; a slice on that of the channels if they share chunks.
    """

    def __init__(self, array: Any, place: tuple[int | slice, ...], name: str) -> None:
        self.array, self.place, self.name = array, place, name
        self.height, self.width = array.shape[-2:]
        shared = [axis for axis, where in enumerate(place) if isinstance(where, slice)]
        self.samples = array.shape[shared[0]] if shared else 1
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        *outer, self.block_height, self.block_width = _block(array)
        self.chunk = tuple(
            0 if isinstance(where, slice) else where // size
            for where, size in zip(place, outer, strict=True)
        )
        self._line = min(array.chunks[-2], self.height)
        self.release()

    def read(self, start: int, stop: int, left: int = 0, right: int | None = None) -> np.ndarray:
        right = self.width if right is None else right
        if (left, right) != (0, self.width):
            return self.part(slice(start, stop), slice(left, right))
        # Whole chunks are unpacked whatever is asked for, so the last line of them is kept.
        cache = self._cached
        first = start // self._line * self._line
        last = min(self.height, -(-stop // self._line) * self._line)
        if cache is None or not cache[0] <= start < stop <= cache[1]:
            keep = cache[2][first - cache[0] :] if cache and cache[0] <= first < cache[1] else None
            begin = first if keep is None else cache[1]  # type: ignore[index]
            new = self.part(slice(begin, last), slice(0, self.width))
            cache = first, last, new if keep is None else np.concatenate([keep, new])
            self._cached = cache
        return cache[2][start - cache[0] : stop - cache[0]].copy()

    def part(self, rows: slice, columns: slice, array: Any = None) -> np.ndarray:
        """(rows, columns, samples), straight from the chunks.

        array: a copy of the array to read in its place.
        """
        with guarded(self.name, *STORE):
            source = self.array if array is None else array
            block = np.asarray(source[(*self.place, rows, columns)], self.dtype)
        return block[..., None] if block.ndim == 2 else np.moveaxis(block, 0, -1)


def _block(array: Any) -> tuple[int, ...]:
    """The sizes of what is written at once: a shard where there are any, else a chunk."""
    sizes = array.shards or array.chunks
    return tuple(min(a, b) for a, b in zip(sizes, array.shape, strict=True))


@dataclass
class ZarrStack(Stack):
    """An OME-Zarr store. `levels`: for each picture the paths of its arrays, from the largest."""

    levels: list[list[str]]


@contextmanager
def open_zarr(path: Path, axes: str | None = None, name: str | None = None) -> Iterator[ZarrStack]:
    """The planes of an OME-Zarr store, for as long as the context lasts.

    Args and errors are those of `open_stack`.
    """
    shown = name or str(path)
    with quiet(), guarded(shown, *STORE):
        root = open_group(path, "r", shown)
        pictures = list(_pictures(root))
        if not pictures:
            raise FileError(shown, *_BARE)
        if axes is not None and len(pictures) > 1:
            raise UsageError(f"--axes {axes}: {shown} holds {len(pictures)} pictures")
        levels: list[list[str]] = []
        shapes: list[tuple[str, tuple[int, ...]]] = []
        planes: list[Plane] = []
        for number, (place, about) in enumerate(pictures):
            paths = [f"{place}/{entry['path']}".strip("/") for entry in about["datasets"]]
            array = root[paths[0]]
            _check(array, path / paths[0], shown)
            letters = _letters(about, array, axes, shown)
            shapes.append((letters, array.shape))
            levels.append(paths)
            planes += _planes(number, array, letters, shown, _no_data(array, root, paths[0]))
        stack = ZarrStack(shown, path, *shapes[0], planes[0].rows.dtype, planes, levels)
    yield stack


def open_group(path: Path, mode: str, name: str) -> Any:
    """A store, by zarr. Raises FileError where that is not installed."""
    try:
        import zarr
    except ImportError:
        raise FileError(name, "needs zarr", "pip install 'mdn[zarr]'") from None
    with contextlib.suppress(*DAMAGE, OSError):  # no array: the usual case
        zarr.open_array(path, mode="r")  # type: ignore[arg-type]
        raise FileError(name, *_BARE)
    return zarr.open_group(path, mode=mode, use_consolidated=False)  # type: ignore[arg-type]


def _pictures(root: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where there are multiscale pictures in the store, and what is said of the first of each."""
    import zarr

    groups = [("", root)]
    groups += [(p, g) for p, g in root.members(max_depth=None) if isinstance(g, zarr.Group)]
    for place, group in sorted(groups, key=lambda pair: pair[0]):
        about = group.attrs.asdict()
        about = about.get("ome", about)
        if "multiscales" not in about or "image-label" in about or "labels" in place.split("/"):
            continue
        yield place, about["multiscales"][0]


def _letters(about: dict[str, Any], array: Any, axes: str | None, name: str) -> str:
    named = about.get("axes", list(_UNNAMED))
    names = [entry["name"] if isinstance(entry, dict) else entry for entry in named]
    letters = axes.upper() if axes else "".join(str(entry)[:1].upper() for entry in names)
    fits = letters.endswith("YX") and len(set(letters)) == len(letters)
    if axes is not None:
        if len(letters) != array.ndim:
            raise UsageError(f"--axes {axes}: {name} has {array.ndim} axes")
        if not fits:
            raise UsageError(f"--axes {axes}: use letters such as TCZYX, Y and X the last")
    elif len(letters) != array.ndim:
        raise FileError(name, f"names {len(letters)} axes and has {array.ndim}", DAMAGED)
    elif not fits:
        raise FileError(name, f"has the axes {letters}", "mdn reads stores that end in y, x")
    return letters


def _check(array: Any, folder: Path, name: str) -> None:
    """Refuse what mdn cannot hold, and claims that no file stands behind."""
    height, width = array.shape[-2:]
    check_size(name, height, width, 0 if 0 in array.shape else 1, limit=None)
    if math.prod(array.shape[:-2]) > _MANY:
        raise FileError(name, f"claims more than {_MANY} planes", DAMAGED)
    kind = str(np.dtype(array.dtype).newbyteorder("="))
    if kind not in _DEPTHS:
        raise FileError(name, f"has {kind} samples, which mdn does not read", "convert it")
    if math.prod(_block(array)) > MAX_SAMPLES:
        raise FileError(name, f"has chunks of {math.prod(_block(array))} samples", DAMAGED)
    with contextlib.suppress(FileNotFoundError):
        stored = (entry.name for entry in folder.iterdir())
        if any(entry != "zarr.json" and not entry.startswith(".") for entry in stored):
            return
    raise FileError(name, "is a Zarr store without any pixels", DAMAGED)


def _no_data(array: Any, root: Any, path: str) -> float | None:
    """The value of `_FillValue`, an attribute of the array or of the picture's group.

    The array's own fill_value is none: it says what chunks hold that were never written, mostly 0.
    """
    place = path.rpartition("/")[0]
    for node in (array, root[place] if place else root):
        if FILL in node.attrs:
            return fill_value_of(node.attrs[FILL], np.dtype(array.dtype).newbyteorder("="))
    return None


def _planes(
    series: int, array: Any, letters: str, name: str, no_data: float | None
) -> Iterator[Plane]:
    """Channel by channel, or together with the others if one chunk holds all."""
    axis, count = letters.find("C"), 1
    outer = list(array.shape[:-2])
    if axis >= 0 and array.chunks[axis] >= outer[axis] > 1:
        outer[axis], count = 1, outer[axis]
    for number, place in enumerate(np.ndindex(*outer)):
        index: list[int | slice] = list(map(int, place))
        if count > 1:
            index[axis] = slice(None)
        rows = ZarrRows(array, tuple(index), name)
        where = dict(zip(letters, map(int, place), strict=False))
        for sample in range(count):
            here = where | {"C": sample} if count > 1 else where
            channel = here.get("C", 0)
            yield Plane(series, number, here, (sample,), channel, rows, no_data=no_data)
