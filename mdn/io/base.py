"""What every format module shares: its description, the size limit, silence."""

import contextlib
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import imageio.v3 as iio
import numpy as np

from mdn.errors import FileError, OutOfMemoryError
from mdn.image import Image

# Pages x height x width x channels. A 200-megapixel RGBA photo has 0.8e9; without a limit, a file
# of a few kilobytes could claim more memory than any machine has.
MAX_SAMPLES = 2**31

COPIES = 3  # of a picture that are held at once: as read, as denoised, and encoded

# What libraries raise over damaged files, besides errors of the system.
DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, EOFError, IndexError, KeyError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
DAMAGED = "copy or export it again"
CMYK_WAY = (
    "convert it to RGB by its own profile in an image editor, or with ImageMagick: "
    "magick FILE -profile sRGB.icc rgb.tif"
)


@dataclass(frozen=True)
class Format:
    """One file format: how to know, read and write it, and what it can hold."""

    name: str  # as in `Image.format`
    suffixes: tuple[str, ...]  # lower case, with the dot, the usual one first
    recognises: Callable[[bytes], bool]  # whether a file's content is of this format
    # (content, name for messages) -> Image as stored, not yet upright
    decode: Callable[[bytes, str], Image]
    # (Image already fitted to this format, quality 1..100) -> content
    encode: Callable[[Image, int], bytes]
    holds: frozenset[str]  # which of "icc", "exif", "xmp", "dpi", "cicp" it stores
    max_side: int = 2**31 - 1  # most pixels along one side
    depths: tuple[str, ...] = ("uint8", "uint16")  # the dtypes it stores
    # alpha, pages: whether it stores an alpha plane, several pages
    alpha: bool = True
    # gray, gray_alpha: whether it stores one channel, and one channel beside an alpha plane
    gray: bool = True
    gray_alpha: bool = True
    colour: bool = True  # whether it stores colour at all
    pages: bool = False
    max_block: int | None = None  # most bytes in one metadata block, or None
    max_bits: int = 16  # most bits of an integer sample

    title: str | None = None  # what people call it, if not its name in capitals
    # `Metadata.private` of this format -> whether the file that it came from was coded with loss
    lossy: Callable[[Any], bool] = lambda own: False

    @property
    def spoken(self) -> str:
        """What people call it."""
        return self.title or self.name.upper()


_max_pixels: ContextVar[int | None] = ContextVar("max_pixels", default=None)


def max_pixels() -> int | None:
    """The limit of `pixel_limit`, if there is one."""
    return _max_pixels.get()


def pixel_limit(most: int | None) -> contextlib.AbstractContextManager[None]:
    """Within it, pictures of more than `most` pixels a page are refused before they are decoded."""
    return _within(_max_pixels, most)


# Bytes that may still be taken, and bytes of the whole limit.
_room: ContextVar[tuple[int, int] | None] = ContextVar("room", default=None)


def memory_limit(room: int, cap: int) -> contextlib.AbstractContextManager[None]:
    """Refuses, before they are decoded, pictures that a limit of memory could not hold.

    room: bytes that may still be taken. cap: bytes of the limit, for the message.
    """
    return _within(_room, (room, cap))


@contextlib.contextmanager
def _within(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def check_size(
    name: str,
    height: int,
    width: int,
    samples: int = 1,
    limit: int | None = MAX_SAMPLES,
    sample_bytes: float = 1,
) -> None:
    """Refuse a picture without pixels, or with more samples than `limit`, if there is one.

    Args:
        samples: channels, alpha included, times pages.
        sample_bytes: of one, decoded; at least, where it is not known yet.

    Raises FileError: none, or too many; OutOfMemoryError: more than the room of `memory_limit`, of
    files that are read whole.
    """
    if height <= 0 or width <= 0 or samples <= 0:
        raise FileError(name, f"has no pixels ({width} x {height})", DAMAGED)
    most = _max_pixels.get()
    if most is not None and height * width > most:
        problem = f"claims {width} x {height} pixels, more than --max-pixels {most}"
        raise FileError(name, problem, "raise it if the file is genuine")
    if limit is not None and height * width * samples > limit:
        problem = (
            f"claims {width} x {height} pixels of {samples} samples, more than mdn reads"
            f" ({limit} samples)"
        )
        raise FileError(name, problem, "cut it into parts if it is genuine")
    room = _room.get()
    need = int(COPIES * height * width * samples * sample_bytes)
    if limit is not None and room is not None and need > room[0]:
        free, cap = room
        enough = (cap - free + need >> 20) + 64
        raise OutOfMemoryError(
            f"{width} x {height} pixels need --max-memory {enough}M, and {cap >> 20}M were given"
        )


def split_alpha(array: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Split (..., H, W, 1 to 4 samples) into pixels (..., 1 or 3) and alpha (...) or None."""
    samples = array.shape[-1]
    if samples in (1, 3):
        return np.ascontiguousarray(array), None
    return np.ascontiguousarray(array[..., :-1]), np.ascontiguousarray(array[..., -1])


def rescaled(array: np.ndarray, old: int, new: int) -> np.ndarray:
    """Whole samples of 0 to `old` as ones of 0 to `new`, rounded, of the same dtype."""
    return ((array.astype(np.uint32) * new + old // 2) // old).astype(array.dtype)


def too_little(name: str, height: int, width: int) -> FileError:
    """Of a file that has fewer bytes than so many pixels can take."""
    return FileError(name, f"holds too little data for {width} x {height} pixels", DAMAGED)


def with_alpha(image: Image) -> np.ndarray:
    """Page 0 of an image as the encoders want it: (H, W) for gray alone, else (H, W, 2 to 4)."""
    pixels = image.pixels[0]
    if image.alpha is None:
        return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    return np.concatenate([pixels, image.alpha[0][..., None]], axis=-1)


def pillow_encoded(array: np.ndarray, suffix: str, options: dict[str, Any]) -> bytes:
    """Encode (H, W) or (H, W, 2 to 4) uint8 through Pillow; options that are empty are left out."""
    choices = {key: value for key, value in options.items() if value is not None}
    written = iio.imwrite(
        "<bytes>", array, plugin="pillow", extension=suffix, is_batch=False, **choices
    )
    assert written is not None
    return written


@contextlib.contextmanager
def guarded(name: str, kind: str, *more: type[Exception]) -> Iterator[None]:
    """What libraries raise over damaged files of a kind, as one FileError.

    more: errors of the system that mean damage too.
    """
    damage: tuple[type[Exception], ...] = (*DAMAGE, *more)
    try:
        yield
    except damage as problem:
        raise FileError(name, f"is a damaged {kind}", DAMAGED) from problem
    except OSError as problem:
        if problem.errno is not None:
            raise
        raise FileError(name, f"is a damaged {kind} ({problem})", DAMAGED) from problem


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what libraries say about damaged files off stderr: one FileError says it instead.

    Loggers and filters of warnings belong to all threads: the first to come in silences them, the
    last to go out gives them back.
    """
    global _inside
    with _quiet_lock:
        _inside += 1
        if _inside == 1:
            for logger in map(logging.getLogger, _TALKATIVE):
                _loud.callback(setattr, logger, "disabled", logger.disabled)
                logger.disabled = True
            _loud.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
    try:
        yield
    finally:
        with _quiet_lock:
            _inside -= 1
            if not _inside:
                _loud.close()


_TALKATIVE = ("tifffile", "imagecodecs")
_quiet_lock, _loud, _inside = threading.Lock(), contextlib.ExitStack(), 0
