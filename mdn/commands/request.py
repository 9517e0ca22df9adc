"""The request of `mdn denoise`: what is to be done with each of its files."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mdn import io
from mdn.encoding import Display
from mdn.encoding.counts import OPTIONS
from mdn.errors import FileError, UsageError
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry.store import USUAL
from mdn.renders import RenderOptions
from mdn.stacks import PlaneSelection


@dataclass(frozen=True)
class Request:
    """What `mdn denoise` was asked to do with each of its files."""

    # a model's name, or the path of a model folder; None for the one of that quality for what a
    # file holds: pictures as shown, counts, or renders
    model: str | None = None
    quality: str = USUAL  # fast, balanced or best, where no model is named; see registry.store
    device: str = "auto"  # auto, or as `engine.choose_device` names them
    passes: int | None = None  # how many to average; None for one, or as many as the quality needs
    # of the pipeline; its `passes` are overruled by these
    options: Options = field(default_factory=Options)
    # an image file: where it is white a picture stays as it is; or None
    protect: Path | None = None
    jpeg_quality: int = 95  # 1 to 100, for JPEG and WebP
    recode: bool = False  # whether unchanged files of lossy formats are written with that quality
    encoding: str = "auto"  # display, counts, or auto: counts for what a microscope measured
    # which planes of a stack, and how its axes are called
    planes: PlaneSelection = field(default_factory=PlaneSelection)
    # planes on each side of one that help it, in stacks and sequences; None: three, where there are
    # times
    neighbours: int | None = None
    renders: RenderOptions = field(default_factory=RenderOptions)  # what was asked of EXR files

    def __post_init__(self) -> None:
        if self.encoding == "display" and self.options.detector is not None:
            raise UsageError(f"--encoding display: {OPTIONS} are for counts; leave one of them out")

    @property
    def planes_beside(self) -> int | None:
        """How many planes on each side help one; None: as usual, where there are times.

        Under a limit of memory none, but where the user says how many: tiles must be larger then.
        """
        return 0 if self.neighbours is None and self.options.max_memory else self.neighbours

    def models(self, *, with_std: bool = False, may_fill: bool = False) -> Models:
        """The models that it needs; nothing is loaded yet.

        Args:
            with_std: whether the deviation between passes is wanted.
            may_fill: see Models.

        Raises:
            UsageError: a model that denoises nothing, a device that is not there, or passes and
                deviations that make no sense.
            ModelError: no such model.
        """
        return Models(
            self.model,
            quality=self.quality,
            device=self.device,
            options=self.options,
            passes=self.passes,
            with_std=with_std,
            may_fill=may_fill,
        )


# --- the mask of --protect ---------------------------------------------------------------------


def read_mask(path: Path) -> np.ndarray:
    """(H, W) float32, 0..1: 1 where the mask is white, so that the original stays there.

    Colours count by their mean, and a transparent mask by its opacity as well.

    Raises UsageError: it cannot be read, or has several pages.
    """
    try:
        image = io.read_image(path, name=f"--protect {path}")
    except FileError as error:  # no file of the batch is at fault
        raise UsageError(str(error)) from error
    if len(image.pixels) > 1:
        raise UsageError(f"--protect {path}: has {len(image.pixels)} pages; give a mask of one")
    coding = Display(image.pixels.dtype)
    mask = coding.encode(image.pixels[0]).mean(-1)
    if image.alpha is not None:
        mask = mask * coding.encode(image.alpha[0])
    return np.ascontiguousarray(mask.clip(0, 1), np.float32)


def check_size(mask: np.ndarray, size: tuple[int, int], name: str) -> None:
    """Raises FileError for a picture of another size, height and width, than the mask."""
    if mask.shape != size:
        (tall, wide), (height, width) = mask.shape, size
        raise FileError(
            name,
            f"--protect: the mask has {wide} x {tall} pixels, the picture {width} x {height}",
            "make the mask from this picture",
        )
