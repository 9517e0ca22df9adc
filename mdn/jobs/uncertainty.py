"""Maps of uncertainty: how much the passes differ at each pixel, in a file of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from mdn import io
from mdn.errors import FileError
from mdn.image import Image
from mdn.io.atomic import replacing
from mdn.jobs.job import Job, Report

LARGE = 2**32 - 2**25  # bytes that a classic TIFF holds, less room for its tables


Rows = Callable[[int, np.ndarray], None]  # takes (first row, deviations (h, W, C))


class StdMap:
    """Standard deviations, (pages, H, W) float32, in the unit of the samples they belong to.

    Attributes:
        details: what to tell of the map when it is done; JSON-able.
        note: what to tell a person, or nothing.
    """

    def __init__(self, target: Path, values: np.ndarray) -> None:
        self.target, self.values = target, values
        self.details: dict[str, Any] = {}
        self.note = ""

    def page(self, index: int) -> Rows:
        """Writes into one page; colours become their root mean square."""

        def write(start: int, deviation: np.ndarray) -> None:
            self.values[index, start : start + len(deviation)] = np.sqrt(
                np.square(deviation).mean(-1)
            )

        return write


@contextmanager
def std_map(job: Job, shape: tuple[int, int, int], white: float) -> Iterator[Any]:
    """A map to fill, written when the block ends well: whole, or not at all.

    A file that is there when the block begins is replaced: `running.attempt` has made sure that it
    may be. One that appears meanwhile is left as it is, and is an error.

    TIFF holds the deviations as float32, in a file that is filled in place and renamed, so that a
    map may be larger than memory. The other formats are for looking at: their white stands for the
    largest deviation, and a note says how much that is.

    Args:
        job: its std_target is the file; where that is None, no map is made and None given.
        shape: pages, height, width. white: the stored value of white in the picture.

    Raises FileError: it cannot be written.
    """
    target, overwrite = job.std_target, job.std_overwrite
    if target is None:
        yield None
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if io.format_of(target) != "tiff":
            std = StdMap(target, np.zeros(shape, np.float32))
            yield std
            _draw(std, white, overwrite=overwrite)
            return
        with replacing(target, overwrite=overwrite) as part:
            std = StdMap(target, _mapped(Path(part.name), shape))
            yield std
            _measure(std)
            std.values.flush()  # type: ignore[attr-defined]
            del std.values
    except OSError as error:
        raise FileError(target, f"cannot be written ({error.strerror or error})") from error


def describe_std(std: StdMap | None, job: Job, report: Report) -> dict[str, object]:
    """What a finished map adds to the details of its job."""
    if std is None:
        return {}
    if std.note:
        report.note(job, std.note)
    return {"std": std.details}


def _mapped(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    large = 4 * shape[0] * shape[1] * shape[2] > LARGE
    return tifffile.memmap(
        path, shape=shape, dtype=np.float32, bigtiff=large, metadata=None, photometric="minisblack"
    )


def _draw(std: StdMap, white: float, *, overwrite: bool) -> None:
    _measure(std)
    top = max(std.details["max"], np.finfo(np.float32).tiny)
    deep = io.format_of(std.target) == "png"
    scaled = np.rint(std.values * ((65535 if deep else 255) / top))
    scaled = scaled.astype(np.uint16 if deep else np.uint8)
    picture = Image(scaled[..., None], name=std.target.name)
    io.write_image(picture, std.target, overwrite=overwrite)
    std.details["white"] = std.details["max"]
    std.note = (
        f"{std.target}: white stands for a deviation of {std.details['max']:.4g}, where the"
        f" picture's white is {white:g}; a .tif holds the numbers"
    )


def _measure(std: StdMap) -> None:
    std.details |= {
        "file": str(std.target),
        "mean": round(float(std.values.mean(dtype=np.float64)), 6),
        "max": float(std.values.max()),
    }
