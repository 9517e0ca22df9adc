"""One picture on its way through the route: where it is read and written, and what it holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mdn.encoding import Display, Rec2100
from mdn.engine.run import RowStream, rows_of
from mdn.io.stack import Plane, RowsWriter

# (top, bottom, left, right) -> (h, w, S) as stored
Region = Callable[[int, int, int, int], np.ndarray]


@dataclass(frozen=True)
class Page:
    """A picture (H, W, S): S samples a pixel, alpha and others that are no colour among them."""

    rows: RowStream  # rows to read and to write, as stored
    region: Region  # parts of it, for a look before it is denoised
    dtype: np.dtype
    samples: tuple[int, ...]  # those that are denoised
    colour: bool = True  # whether they are the colours of one picture; else each stands alone
    alpha: int | None = None  # the sample that says how opaque a pixel is, or None
    associated: bool = False  # whether the colours were multiplied by alpha
    no_data: float | None = None  # the value of samples that hold nothing, or None
    coding: Display | Rec2100 | None = None  # how it is shown; None: by its dtype
    # (H, W) float32, 0..1: 1 where the picture stays as it is
    protect: np.ndarray | None = field(default=None, compare=False, repr=False)
    # (H, W, S) all of it, where it is in memory
    array: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, and the samples that are denoised."""
        return self.rows.height, self.rows.width, len(self.samples)

    @property
    def shown(self) -> Display | Rec2100:
        """How the samples are shown."""
        return self.coding or Display(self.dtype)

    def valid(self, stored: np.ndarray) -> np.ndarray:
        """(..., S) as stored -> (..., samples) bool: which hold anything.

        NaN, infinity and the value for no data do not, and what is fully transparent is not seen.
        """
        chosen = stored[..., list(self.samples)]
        valid = np.isfinite(chosen) if chosen.dtype.kind == "f" else np.ones(chosen.shape, bool)
        if self.no_data is not None:
            valid &= chosen != self.no_data
        if self.alpha is not None:
            valid &= (stored[..., self.alpha] > 0)[..., None]
        return valid

    @property
    def may_have_gaps(self) -> bool:
        """Whether `valid` can be False anywhere."""
        return self.dtype.kind == "f" or self.no_data is not None or self.alpha is not None

    def straight(self, stored: np.ndarray) -> np.ndarray:
        """(..., S) as stored -> the samples to denoise, without what alpha multiplied them by."""
        chosen = stored[..., list(self.samples)]
        if self.alpha is None or not self.associated:
            return chosen
        alpha = stored[..., self.alpha].astype(np.float64)[..., None]
        full = Display(self.dtype).white
        return (chosen * (full / np.where(alpha > 0, alpha, full))).astype(np.float32)


def of_array(
    pixels: np.ndarray,
    result: np.ndarray,
    *,
    colours: int | None = None,
    alpha: np.ndarray | None = None,
    associated: bool = False,
    no_data: float | None = None,
    colour: bool = True,
    coding: Display | Rec2100 | None = None,
    protect: np.ndarray | None = None,
) -> Page:
    """A picture in memory.

    Args:
        pixels: (H, W, C) as stored.
        result: (H, W, C) of the same dtype, which is filled.
        colours: how many of the C are denoised; all, if None. The others come as they were.
        alpha: (H, W) of the same dtype, beside the pixels, or None. It is not written.
        colour: whether they are the colours of one picture.
    """
    channels = pixels.shape[-1]
    rows = rows_of(pixels, result)
    if alpha is not None:
        pixels = np.concatenate([pixels, alpha[..., None]], -1)
        write = rows.write
        rows = replace(
            rows,
            read=lambda start, stop: pixels[start:stop],
            write=lambda start, block: write(start, block[..., :channels]),
        )
    return Page(
        rows,
        lambda top, bottom, left, right: pixels[top:bottom, left:right],
        pixels.dtype,
        tuple(range(channels if colours is None else colours)),
        colour,
        channels if alpha is not None else None,
        associated,
        no_data,
        coding,
        protect,
        pixels,
    )


def of_planes(
    planes: Sequence[Plane], writer: RowsWriter, wanted: tuple[int, int] | None = None
) -> Page:
    """Planes of a stack that share their rows; wanted: the rows, None for all."""
    first, rows = planes[0], planes[0].rows
    # A line of strips or tiles is held as read, as written, and as encoded.
    held = 4 * min(rows.block_height, rows.height) * rows.row_bytes
    stream = RowStream(
        rows.height,
        rows.width,
        rows.samples,
        rows.read,
        writer.write,
        rows.row_bytes,
        held if rows.raw_offset is None else 0,
        wanted=wanted,
    )
    return Page(
        stream,
        lambda top, bottom, left, right: rows.read(top, bottom, left, right),
        rows.dtype,
        tuple(index for plane in planes for index in plane.samples),
        first.colour,
        first.alpha,
        first.alpha_associated,
        first.no_data,
    )
