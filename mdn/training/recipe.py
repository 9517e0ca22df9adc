"""A training recipe: one TOML file that says all there is to say about how weights came to be.

These are its values; `recipe_parse` makes them from a file, and `recipe_check` finds what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Noise that is not added to a picture but makes a measurement of it: see training.poisson_counts.
PHOTONS = "photons"
# Noise that is in the files: renders, with so many samples per pixel. See training.renders.
SAMPLES = "samples"
# No noise at all; half of such crops are drawn patterns. See training.judged.
CLEAN = "clean"
BY_STEPS = -1  # a number of steps that follows from that of the whole run
GUIDES = 6  # planes that guide the denoising of a render: albedo and normal


@dataclass(frozen=True)
class DataRecipe:
    """Which pictures, and how crops are taken from them."""

    sources: tuple[str, ...]  # image folders or packed shards (.safetensors), relative to --data
    crop: int = 96  # side of the square crops, pixels
    # pairs of [step, side]: from that step on crops have that side. Short ones first make the early
    # steps of a slow net cheap.
    growth: tuple[tuple[int, int], ...] = ()
    context: int = 0  # side of the larger crop around it that a judge reads; 0 for the crop itself
    gray: float = 0.0  # share of the batch turned to gray, with one noise for all channels
    hold_out: int = 25  # every n-th picture of the sorted names is kept for validation
    # smallest and largest factor of the pictures' size at which crops are taken; none: at their own
    scales: tuple[float, ...] = ()
    own_size: float = 0.0  # share of the crops that keep the pictures' own size all the same
    # share of the noisy crops of a net with a judge that are drawn patterns; of the clean ones it
    # is half
    patterns: float = 0.04
    # share of the groups of such a net whose crops are those of several with the most fine detail
    busy: float = 0.0
    # where the sources are renders, image folders or shards to take detail from
    textures: tuple[str, ...] = ()
    # where the sources are renders: the share of a teacher's light in what is aimed at
    teacher: float = 0.0


@dataclass(frozen=True)
class NoiseRecipe:
    """One family of noise to train on: levels are drawn evenly from low..high.

    Those of a camera, an ISO, of photons, and samples per pixel go evenly by their logarithm.
    """

    kind: str
    low: float
    high: float
    weight: float = 1.0


@dataclass(frozen=True)
class MaskRecipe:
    """Masked training: a `share` of the batch loses a ratio of its pixels, drawn from low..high.

    A share `samples` of the masks differs from channel to channel; the others take whole pixels.
    With `alone` the loss is that of the masked samples alone (MPI: Ma et al., NeurIPS 2024,
    section 3.1), and every crop must then be masked.

    impulses: share of the groups with salt and pepper whose impulses a net with a judge is shown as
        masked samples, which is how `mdn denoise` shows them.
    """

    share: float = 0.0
    samples: float = 0.0
    alone: bool = False
    low: float = 0.0
    high: float = 0.9
    impulses: float = 0.0


@dataclass(frozen=True)
class ContrastRecipe:
    """A `share` of the batch has its contrast multiplied by low..high before noise is added."""

    share: float = 0.0
    low: float = 1.0
    high: float = 1.0


@dataclass(frozen=True)
class JpegRecipe:
    """A `share` of the batch goes through JPEGs of quality low..high after the noise.

    A share `halved` of those have colour at half resolution. For nets that judge the noise.
    """

    share: float = 0.0
    low: float = 60.0
    high: float = 99.0
    halved: float = 0.5


@dataclass(frozen=True)
class OptimRecipe:
    """Optimiser, schedule and budget."""

    name: str = "muon"  # adam, adamw or muon (matrices by Muon, the rest by Adam)
    # peak learning rate; for muon that of the matrices, with `adam_lr` for the rest
    lr: float = 0.02
    adam_lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    # trapezoid (warm up, hold, fall linearly over the last `cooldown` steps), cosine, or halving
    # (warm up, then half the rate from each step of `halvings` on)
    schedule: str = "trapezoid"
    steps: int = 20000
    # warmup, cooldown: steps; where left out, 200 but at most a tenth of all, and a quarter
    warmup: int = BY_STEPS
    cooldown: int = BY_STEPS
    halvings: tuple[int, ...] = ()
    # batch, groups: crops a step, drawn in `groups` that share one kind of noise. Processes of a
    # distributed run each take a part of the groups.
    batch: int = 16
    groups: int = 4
    clip: float = 0.0  # largest norm of the gradient; 0 for none
    ema: float = 0.999  # decay of the averaged weights, which are what is shipped; 0 for none

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

    sources: tuple[str, ...] = ()
    every: int = 1000
    rows: tuple[tuple[str, float], ...] = (("gaussian", 15.0), ("gaussian", 50.0))
    pictures: int = 24
    crop: int = 256
    pairs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """All of it."""

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
    loss: str = "l1"
    # share of the groups whose noisy crops are clipped, and rounded to 8 bits too where `rounded`
    # is true
    clip_share: float = 0.5
    # deviation of the logarithm of the level that a noise-conditioned net is given
    level_error: float = 0.0
    # share of the groups with noise that depends on brightness for which a noise-conditioned net is
    # given the level of each pixel, and not one for all
    level_map: float = 0.0
    # share of the groups that get two kinds of noise, if neither is a camera's or none; for nets
    # that judge the noise
    second_noise: float = 0.0
    seed: int = 0  # of every random choice
    rounded: bool = True
    # weights (.safetensors) to begin from, relative to the recipe; empty for none
    init_weights: str = ""
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
        return max(self.largest_crop, self.data.context)

    @property
    def largest_crop(self) -> int:
        """Side of the largest crops that are denoised, pixels."""
        return max([self.data.crop, *(side for _, side in self.data.growth)])

    def side_at(self, step: int) -> int:
        """Of the crops that are drawn at a step, pixels."""
        grown = [side for first, side in self.data.growth if step >= first]
        return max(grown[-1] if grown else self.data.crop, self.data.context)

    @property
    def channels(self) -> int:
        """Colour channels of the net: 3, or 1 for a gray one."""
        return int(self.net.get("channels", 3))
