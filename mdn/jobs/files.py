"""Reading the image of a job and writing its result, standard streams included.

A second result is the map of uncertainty: how much the passes differ at each pixel.
"""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from mdn import interrupts, io
from mdn.errors import FileError
from mdn.image import Image
from mdn.io import exr
from mdn.io.atomic import copy_file, read_bytes, replacing
from mdn.io.foreign import is_raw
from mdn.jobs.job import Job, Report
from mdn.jobs.running import changed, file_stamp

USUAL_QUALITY = 95  # of JPEG, where the user names none
LARGE = 2**32 - 2**25  # bytes that a classic TIFF holds, less room for its tables
Rows = Callable[[int, np.ndarray], None]  # takes (first row, deviations (h, W, C))


def load(job: Job) -> Image:
    """The image that `job` is about.

    Raises FileError: the file, or what came on standard input, is no image that mdn can read, or
    one that the output's format cannot hold at all: better known now than after the work.
    """
    before = None if job.source is None else file_stamp(job.source)
    source = content(job) if job.source is None else job.source
    linear = output_format_for(job, "") == "dng"
    image = io.read_image(source, name=job.name, linear=linear)
    if job.source is not None and file_stamp(job.source) != before:
        raise changed(job)
    if output_format_for(job, "") == exr.NAME:
        raise FileError(job.name, "cannot become an EXR file, which is for renders", "write a .tif")
    io.losses(image, output_format(job, image))
    return image


def content(job: Job) -> bytes:
    """What comes on standard input. Raises FileError: nothing does."""
    data = sys.stdin.buffer.read()
    if not data:
        raise FileError(job.name, "nothing came on standard input", "pipe an image into mdn")
    return data


def describe(image: Image) -> dict[str, object]:
    """What every command tells about an image: size in pixels, pages, dtype, megapixels in all."""
    pages, height, width, channels = image.pixels.shape
    return {
        "width": width,
        "height": height,
        "pages": pages,
        "channels": channels + (image.alpha is not None),
        "dtype": str(image.pixels.dtype),
        "megapixels": round(pages * height * width / 1e6, 6),
    }


def output_format(job: Job, image: Image) -> str:
    """The format of the output: the one asked for, that of the suffix, that of the input."""
    return output_format_for(job, image.format)


def output_format_for(job: Job, own: str) -> str:
    """As `output_format`, of an input whose own format is `own`."""
    if job.format is not None:
        return job.format
    return own if job.target is None else io.format_of(job.target)


def save(
    job: Job,
    image: Image,
    report: Report,
    *,
    jpeg_quality: int = USUAL_QUALITY,
    original: np.ndarray | None = None,
    recode: bool = False,
    still_wanted: Callable[[], None] = lambda: None,
) -> bool:
    """Writes the result of `job`, and notes what is left out and what its format cannot hold.

    A picture in which nothing has changed is not coded again, which would cost quality or size: the
    file is copied, byte for byte, where it stays in its format.

    Args:
        jpeg_quality: 1 to 100, for JPEG and other lossy formats.
        original: the pixels as they were read, or None for a picture that was not read so.
        recode: whether a file of a lossy format is to be coded anew all the same, for the quality.
        still_wanted: called when all is coded and nothing written; may raise.

    Returns whether the file is another than the input: false for a copy.
    Raises FileError: the target cannot be written; nothing is left of it.
    """
    chosen = output_format(job, image)
    same = original is not None and np.array_equal(image.pixels, original, equal_nan=True)
    stays = chosen == image.format and not (recode and io.is_lossy(image))
    source, target = job.source, job.target
    # Most raw files only become one of that format.
    if same and stays and source and (not is_raw(source) or source.suffix.lower() == f".{chosen}"):
        if target is None:
            to_stdout(read_bytes(source, job.name))
        else:
            copy_file(source, target, overwrite=job.overwrite)
        return False
    # Nobody asked for another format than the input's name says, and its content is of another.
    suffixes = {path.suffix.lower() if path else "" for path in (source, target)}
    if chosen != image.format and job.format is None and len(suffixes) == 1 and "" not in suffixes:
        kinds = f"a {io.spoken(image.format)} file by its content, {io.spoken(chosen)} by its name"
        report.note(job, f"is {kinds}: written as {io.spoken(chosen)}")
    if left := io.left_out(image):
        report.note(job, f"left out: {', '.join(left)}")
    lost = io.losses(image, chosen)
    if lost:
        report.note(job, f"{io.spoken(chosen)} cannot keep {', '.join(lost)}")
    if image.meta.bits is not None and image.meta.bits < 8:
        depth = "1 bit" if image.meta.bits == 1 else f"{image.meta.bits} bits"
        report.note(job, f"samples of {depth} are written with 8")
    with interrupts.held():
        data = io.write_image(
            image,
            target,
            format=chosen,
            quality=jpeg_quality,
            overwrite=job.overwrite,
            still_wanted=still_wanted,
        )
    if target is None and data is not None:
        to_stdout(data)
    return True


def to_stdout(data: bytes) -> None:
    """Writes a file to standard output, all of it now."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


class StdMap:
    """Standard deviations, (pages, H, W) float32, in the unit of the samples they belong to."""

    def __init__(self, target: Path, values: np.ndarray) -> None:
        self.target, self.values = target, values
        self.details: dict[str, Any] = {}  # what to tell of it when it is done; JSON-able
        self.note = ""  # what to tell a person, or nothing

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
        shape: pages, height, width.
        white: the stored value of white in the picture.

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
            values = tifffile.memmap(
                Path(part.name),
                shape=shape,
                dtype=np.float32,
                bigtiff=4 * math.prod(shape) > LARGE,
                metadata=None,
                photometric="minisblack",
            )
            std = StdMap(target, values)
            yield std
            _measure(std)
            values.flush()
            del std.values, values
    except OSError as error:
        raise FileError(target, f"cannot be written ({error.strerror or error})") from error


def describe_std(std: StdMap | None, job: Job, report: Report) -> dict[str, object]:
    """What a finished map adds to the details of its job."""
    if std is None:
        return {}
    if std.note:
        report.note(job, std.note)
    return {"std": std.details}


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
