"""Reading the image of a job and writing its result, standard streams included."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mdn import interrupts, io
from mdn.errors import FileError
from mdn.image import Image
from mdn.io import exr
from mdn.io.atomic import copy_file, read_bytes
from mdn.io.foreign import is_raw
from mdn.jobs.job import Job, Report
from mdn.jobs.running import changed, file_stamp

USUAL_QUALITY = 95  # of JPEG, where the user names none


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
        job: says where to.
        image: what to write.
        report: gets the notes.
        jpeg_quality: 1 to 100, for JPEG and other lossy formats.
        original: the pixels as they were read, or None for a picture that was not read so.
        recode: whether a file of a lossy format is to be coded anew all the same, for the quality.
        still_wanted: called when all is coded and nothing written; may raise.

    Returns:
        Whether the file is another than the input: false for a copy.

    Raises FileError: the target cannot be written; nothing is left of it.
    """
    chosen = output_format(job, image)
    same = original is not None and np.array_equal(image.pixels, original, equal_nan=True)
    stays = chosen == image.format and not (recode and io.is_lossy(image))
    source = job.source if same and stays else None
    if source is not None and _is_kept(source, chosen):
        _copy(source, job)
        return False
    if _is_misnamed(job, image, chosen):
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
            job.target,
            format=chosen,
            quality=jpeg_quality,
            overwrite=job.overwrite,
            still_wanted=still_wanted,
        )
    if job.target is None and data is not None:
        to_stdout(data)
    return True


def _is_misnamed(job: Job, image: Image, chosen: str) -> bool:
    """Whether the input's name, which nobody asked to be another format's, says what it is not."""
    if job.source is None or job.target is None or job.format is not None:
        return False
    return chosen != image.format and job.source.suffix.lower() == job.target.suffix.lower()


def _is_kept(source: Path, format: str) -> bool:
    """Whether a file is of that format itself: most raw files only become one."""
    return not is_raw(source) or source.suffix.lower() == f".{format}"


def _copy(source: Path, job: Job) -> None:
    if job.target is None:
        to_stdout(read_bytes(source, job.name))
    else:
        copy_file(source, job.target, overwrite=job.overwrite)


def to_stdout(data: bytes) -> None:
    """Writes a file to standard output, all of it now."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
