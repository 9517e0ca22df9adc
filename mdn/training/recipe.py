"""A training recipe: one TOML file that says all there is to say about how weights came to be.

These are its values, with the bounds of each by itself; `recipe_parse` makes them from a file, and
tells what does not go together.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from mdn import noise
from mdn.errors import UsageError
from mdn.training.cases import CASES

# Noise that is not added to a picture but makes a measurement of it: see training.degrade.
PHOTONS = "photons"
# Noise that is in the files: renders, with so many samples per pixel. See training.renders.
SAMPLES = "samples"
# No noise at all; half of such crops are drawn patterns. See training.judged.
CLEAN = "clean"
BY_STEPS = -1  # a number of steps that follows from that of the whole run
GUIDES = 6  # planes that guide the denoising of a render: albedo and normal


def _check_kind(name: str) -> str:
    """A kind of noise. Raises ValueError: there is none of that name."""
    if name not in (PHOTONS, SAMPLES, CLEAN, *CASES):
        try:
            noise.get(name)
        except UsageError as error:
            raise ValueError(str(error)) from error
    return name


STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Share = Annotated[float, Field(ge=0, le=1)]
AboveZero = Annotated[float, Field(gt=0)]
ZeroOrMore = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Steps = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(ge=8)]  # pixels
Kind = Annotated[str, AfterValidator(_check_kind)]  # of noise


@dataclass(frozen=True)
class DataRecipe:
    """Which pictures, and how crops are taken from them."""

    __pydantic_config__ = STRICT
    # image folders or packed shards (.safetensors), relative to --data
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    crop: Side = 96  # side of the square crops, pixels
    context: int = 0  # side of the larger crop around it that a judge reads; 0 for the crop itself
    gray: Share = 0.0  # share of the batch turned to gray, with one noise for all channels
    hold_out: int = 25  # every n-th picture of the sorted names is kept for validation
    # smallest and largest factor of the pictures' size at which crops are taken; none: at their own
    scales: tuple[float, ...] = ()
    own_size: Share = 0.0  # share of the crops that keep the pictures' own size all the same
    # share of the noisy crops of a net with a judge that are drawn patterns; of the clean ones it
    # is half
    patterns: Share = 0.04
    # reuse: times that a batch of such a net is used, each time turned, flipped and cut anew; so
    # many batches are drawn before the first comes again
    reuse: Count = 1
    block: Count = 64
    # share of the groups of such a net whose crops are those of several with the most fine detail
    busy: Share = 0.0
    # where the sources are renders, image folders or shards to take detail from
    textures: tuple[str, ...] = ()
    # where the sources are renders: the share of a teacher's light in what is aimed at
    teacher: Share = 0.0


@dataclass(frozen=True)
class NoiseRecipe:
    """One family of noise to train on: levels are drawn evenly from low..high.

    Those of a camera, an ISO, of photons, and samples per pixel go evenly by their logarithm.
    """

    __pydantic_config__ = STRICT
    kind: Kind
    low: float
    high: float
    weight: AboveZero = 1.0


@dataclass(frozen=True)
class MaskRecipe:
    """Masked training: a `share` of the batch loses a ratio of its pixels, drawn from low..high.

    A share `samples` of the masks differs from channel to channel; the others take whole pixels.
    With `alone` the loss is that of the masked samples alone (MPI: Ma et al., NeurIPS 2024,
    section 3.1), and every crop must then be masked.

    impulses: share of the groups with salt and pepper whose impulses a net with a judge is shown as
        masked samples, which is how `mdn denoise` shows them.
    """

    __pydantic_config__ = STRICT
    share: Share = 0.0
    samples: Share = 0.0
    alone: bool = False
    low: float = 0.0
    high: float = 0.9
    impulses: Share = 0.0


@dataclass(frozen=True)
class ContrastRecipe:
    """A `share` of the batch has its contrast multiplied by low..high before noise is added."""

    __pydantic_config__ = STRICT
    share: Share = 0.0
    low: float = 1.0
    high: float = 1.0


@dataclass(frozen=True)
class JpegRecipe:
    """A `share` of the batch goes through JPEGs of quality low..high after the noise.

    A share `halved` of those have colour at half resolution. For nets that judge the noise.
    """

    __pydantic_config__ = STRICT
    share: Share = 0.0
    low: float = 60.0
    high: float = 99.0
    halved: Share = 0.5


@dataclass(frozen=True)
class OptimRecipe:
    """Optimiser, schedule and budget."""

    __pydantic_config__ = STRICT
    # muon: matrices by Muon, the rest by Adam
    name: Literal["muon", "adam", "adamw"] = "muon"
    # peak learning rate; for muon that of the matrices, with `adam_lr` for the rest
    lr: AboveZero = 0.02
    adam_lr: AboveZero = 1e-3
    slow: tuple[str, ...] = ()  # what the names of parameters begin with that take a tenth of it
    betas: tuple[Decay, Decay] = (0.9, 0.99)
    weight_decay: ZeroOrMore = 0.0
    # trapezoid (warm up, hold, fall linearly over the last `cooldown` steps), cosine, or halving
    # (warm up, then half the rate from each step of `halvings` on)
    schedule: Literal["trapezoid", "cosine", "halving"] = "trapezoid"
    steps: Count = 20000
    # warmup, cooldown: steps; where left out, 200 but at most a tenth of all, and a quarter
    warmup: Steps = BY_STEPS
    cooldown: Steps = BY_STEPS
    halvings: tuple[int, ...] = ()
    # batch, groups: crops a step, drawn in `groups` that share one kind of noise. Processes of a
    # distributed run each take a part of the groups.
    batch: Count = 16
    groups: Count = 4
    clip: ZeroOrMore = 0.0  # largest norm of the gradient; 0 for none
    ema: Decay = 0.999  # decay of the averaged weights, which are what is shipped; 0 for none

    def __post_init__(self) -> None:
        if self.warmup == BY_STEPS:
            object.__setattr__(self, "warmup", min(200, self.steps // 10))
        if self.cooldown == BY_STEPS:
            fall = min(self.steps // 4, self.steps - self.warmup)
            object.__setattr__(self, "cooldown", max(0, fall))


@dataclass(frozen=True)
class WatchRecipe:
    """Validation while training: rows of [noise kind, level], each `every` steps.

    It looks at the pictures held out of training or, where `sources` names folders or shards, at
    those; at `pictures` of them, `crop` pixels a side from the middle. `pairs` names folders with
    noisy/ and gt/, real noise; for nets that judge the noise themselves.
    """

    __pydantic_config__ = STRICT
    sources: tuple[str, ...] = ()
    every: Count = 1000
    rows: tuple[tuple[Kind, float], ...] = (("gaussian", 15.0), ("gaussian", 50.0))
    pictures: Count = 24
    crop: int = 256
    pairs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """All of it."""

    __pydantic_config__ = STRICT
    name: str
    arch: str
    data: DataRecipe
    noise: tuple[NoiseRecipe, ...]
    net: dict[str, Any] = field(default_factory=dict)  # the architecture's config
    mask: MaskRecipe = MaskRecipe()
    contrast: ContrastRecipe = ContrastRecipe()
    jpeg: JpegRecipe = JpegRecipe()
    optim: OptimRecipe = OptimRecipe()
    watch: WatchRecipe = WatchRecipe()
    # title, summary, licence, training_data and quality for the model's card
    about: dict[str, str] = field(default_factory=dict)
    # l1 or l2, over all pixels; psnr, the logarithm of the l2 of each crop; or shown, the same of
    # renders as a display shows them, and some l1
    loss: Literal["l1", "l2", "psnr", "shown"] = "l1"
    # share of the groups whose noisy crops are clipped, and rounded to 8 bits too where `rounded`
    # is true
    clip_share: Share = 0.5
    # deviation of the logarithm of the level that a noise-conditioned net is given
    level_error: ZeroOrMore = 0.0
    # share of the groups that get two kinds of noise, if neither is a camera's or none; for nets
    # that judge the noise
    second_noise: Share = 0.0
    # share of the noisy crops of a net with a judge that is told the mean sigma, as users do
    told: Share = 0.0
    seed: int = 0  # of every random choice
    rounded: bool = True
    # weights (.safetensors) to begin from, relative to the recipe; empty for none
    init_weights: str = ""
    # weights (.safetensors) of plain nets of one judge that become the kernels of a net that mixes
    # them, see training.build; relative to the recipe. Not used where there are init_weights.
    join: tuple[str, ...] = ()
    join_steps: Count = 120  # steps whose crops tell how they are mixed at first
    # weights (.safetensors) of a net whose judge this one takes, relative to the recipe
    init_judge: str = ""
    # parts of the net that stay as they begin, such as a judge that other nets share
    frozen: tuple[str, ...] = ()
    text: str = ""  # the recipe file as it stood

    @property
    def rendered(self) -> bool:
        """Whether its sources are renders, noise and all."""
        return any(row.kind == SAMPLES for row in self.noise)

    @property
    def domain(self) -> str:
        """The values that its net works on: display, counts or hdr."""
        if self.rendered:
            return "hdr"
        return "counts" if any(row.kind == PHOTONS for row in self.noise) else "display"

    @property
    def judged(self) -> bool:
        """Whether its net judges the noise itself."""
        return bool(self.net.get("judge", False))

    @property
    def side(self) -> int:
        """Of the largest crops that are drawn, pixels."""
        return max(self.data.crop, self.data.context)

    @property
    def channels(self) -> int:
        """Colour channels of the net: 3, or 1 for a gray one."""
        return int(self.net.get("channels", 3))
