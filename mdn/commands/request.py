"""What `mdn denoise` was asked to do with each of its files."""

from dataclasses import dataclass, field
from pathlib import Path

from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry.selection import USUAL
from mdn.renders import RenderOptions
from mdn.stacks.planes import PlaneSelection


@dataclass(frozen=True)
class Request:
    """What `mdn denoise` was asked to do with each of its files.

    Attributes:
        model: a model's name, or the path of a model folder; None for the one of that quality for
            what a file holds: pictures as shown, counts, or renders.
        quality: fast, balanced or best, where no model is named; see registry.selection.
        device: auto, or as `engine.choose_device` names them.
        passes: how many to average; None for one, or as many as the quality needs.
        options: of the pipeline; its `passes` are overruled by these.
        protect: an image file: where it is white a picture stays as it is; or None.
        jpeg_quality: 1 to 100, for JPEG and WebP.
        encoding: display, counts, or auto: counts for what a microscope measured.
        planes: which planes of a stack, and how its axes are called.
        renders: what was asked of EXR files.
    """

    model: str | None = None
    quality: str = USUAL
    device: str = "auto"
    passes: int | None = None
    options: Options = field(default_factory=Options)
    protect: Path | None = None
    jpeg_quality: int = 95
    encoding: str = "auto"
    planes: PlaneSelection = field(default_factory=PlaneSelection)
    renders: RenderOptions = field(default_factory=RenderOptions)

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
