"""What is asked of the pipeline: how strongly, how often, and in what memory. Holds no files."""

from dataclasses import dataclass

from mdn.encoding.counts import OPTIONS, Detector
from mdn.engine.device import choose_precision
from mdn.engine.run import NetGeometry, Runtime
from mdn.errors import FileError, UsageError
from mdn.pipeline.blend import RADIUS
from mdn.registry.model import Model

MOST = 2.0  # strength
AUGMENTATIONS = 8  # ways to flip and turn a picture: four quarter turns, each also mirrored


@dataclass(frozen=True)
class Options:
    """How one array is to be denoised."""

    # 0 (the input, bit for bit) to 1 (all that the model does); up to 2 the noise is taken for that
    # many times as strong, by models that are told how strong it is
    strength: float = 1.0
    # luma, chroma: 0 to 1: the share of the noise in brightness, and in colour, that goes; both
    # under the strength
    luma: float = 1.0
    chroma: float = 1.0
    detail: float = 0.0  # 0 to 1: the share of the fine grain that is given back
    # standard deviation of the noise, nominal range 0..1, for models that take one; None to
    # estimate it
    sigma: float | None = None
    detector: Detector | None = None  # what counted the light, where the user knows it
    # looks to average: with other masks, or, where the model draws none, of the picture flipped and
    # rotated
    passes: int = 1
    seed: int = 0  # of the masks that a stochastic model draws; others ignore it
    # whether the standard deviation of the passes is wanted beside their mean
    with_std: bool = False
    precision: str = "auto"  # auto, or as `engine.choose_precision` names them
    max_memory: int | None = None  # bytes the process may hold, or None
    tile: int | None = None  # largest side of a tile in pixels, or None to choose

    def __post_init__(self) -> None:
        for name, most in (("strength", MOST), ("luma", 1), ("chroma", 1), ("detail", 1)):
            share: float = getattr(self, name)
            if not 0 <= share <= most:
                raise UsageError(f"--{name} {share:g}: choose a number from 0 to {most:g}")
        if self.sigma is not None and not 0 <= self.sigma <= 1:
            raise UsageError(f"--sigma {255 * self.sigma:g}: choose a number from 0 to 255")
        if self.sigma is not None and self.detector is not None:
            raise UsageError(f"--sigma: {OPTIONS} say how strong the noise is; leave one out")
        for name in ("passes", "tile"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise UsageError(f"--{name} {number}: choose 1 or more")
        if self.with_std and self.passes < 2:
            raise UsageError("--save-std: compares several passes; add --passes 8")
        if self.with_std and self.strength == 0:
            raise UsageError(
                "--save-std: with --strength 0 nothing is denoised; leave one of them out"
            )

    @property
    def share(self) -> float:
        """Of what the model does, that is mixed in."""
        return min(1.0, self.strength)

    @property
    def force(self) -> float:
        """How many times as strong as it is the noise is taken for."""
        return max(1.0, self.strength)

    @property
    def needs_check(self) -> bool:
        """Whether some model could not do what is asked; see `check`."""
        return self.sigma is not None or self.passes > AUGMENTATIONS or self.strength > 1

    @property
    def removed(self) -> str:
        """What becomes of the noise, in words."""
        shares = self.share * self.luma, self.share * self.chroma
        luma, chroma = (f"{100 * share:.3g} %" for share in shares)
        if luma != chroma:
            return f"{luma} of it removed in brightness, {chroma} in colour"
        return "removed" if luma == "100 %" else f"{luma} of it removed"

    def check_counts(self, name: str) -> None:
        """Raises FileError where a file of counts is to be treated as one of colours."""
        if not self.luma == self.chroma == 1:
            raise FileError(name, "--luma and --chroma: counts have no colour", "use --strength")

    def check(self, model: Model) -> None:
        """Raises UsageError for what makes no sense with this model."""
        if self.sigma is not None and not model.abilities.takes_sigma:
            raise UsageError(
                f"--sigma: {model.name} takes no noise strength; leave --sigma out,"
                " or choose another model (mdn models list)"
            )
        if self.strength > 1 and not model.abilities.takes_sigma:
            raise UsageError(
                f"--strength {self.strength:g}: {model.name} takes no noise strength;"
                " choose 1 or less"
            )
        if self.passes > 1 and model.card.kind == "external":
            raise UsageError(f"--passes: {model.name} has one answer; leave --passes out")
        if self.passes > AUGMENTATIONS and not model.abilities.stochastic:
            raise UsageError(
                f"--passes {self.passes}: {model.name} takes {AUGMENTATIONS} at most, the"
                " flips and rotations of the picture"
            )


def runtime(model: Model, options: Options) -> Runtime:
    """Where, in what precision and in what memory the engine computes."""
    dtype = choose_precision(options.precision, model.device, model.card.precisions)
    return Runtime(model.device, dtype, options.max_memory, options.tile)


def geometry(model: Model, options: Options, spacing: int = 1) -> NetGeometry:
    """What the engine must know of the model.

    spacing: of the samples that the net sees together; see `pixel_shuffle`. Tiles must begin where
        all the samples of a spacing do.
    """
    halo = model.halo + (RADIUS if options.detail else 0)
    return NetGeometry(halo * spacing, model.multiple * spacing, model.card.bytes_per_pixel)
