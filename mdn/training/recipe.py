"""A training recipe: one TOML file that says all there is to say about how weights came to be."""

from __future__ import annotations

import difflib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from mdn import noise
from mdn.errors import UsageError
from mdn.nets import METERS
from mdn.registry.cards import APART
from mdn.training import recipe_files

# Noise that is not added to a picture but makes a measurement of it: see training.photons.
ABOUT = {"title", "summary", "licence", "training_data", "quality"}
PHOTONS = "photons"
# Noise that is in the files: renders, with so many samples per pixel. See training.renders.
SAMPLES = "samples"
# No noise at all; half of such crops are drawn patterns. See training.judged.
CLEAN = "clean"
GUIDES = 6  # their guides: albedo and normal


@dataclass(frozen=True)
class DataRecipe:
    """Which pictures, and how crops are taken from them.

    Attributes:
        sources: image folders or packed shards (.safetensors), relative to --data.
        crop: side of the square crops, pixels.
        context: side of the larger crop around it that a judge reads; 0 for the crop itself.
        gray: share of the batch turned to gray, with one noise for all channels.
        hold_out: every n-th picture of the sorted names is kept for validation.
        scales: smallest and largest factor of the pictures' size at which crops are taken; none: at
            their own.
        enlarged: share of the batch that is enlarged after noise was added; for a net that measures
            noise only.
        textures: where the sources are renders, image folders or shards to take detail from.
    """

    sources: tuple[str, ...]
    crop: int = 96
    context: int = 0
    gray: float = 0.0
    hold_out: int = 25
    scales: tuple[float, ...] = ()
    enlarged: float = 0.0
    textures: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoiseRecipe:
    """One family of noise to train on: levels are drawn evenly from low..high."""

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
    """

    share: float = 0.0
    samples: float = 0.0
    alone: bool = False
    low: float = 0.0
    high: float = 0.9


@dataclass(frozen=True)
class ContrastRecipe:
    """A `share` of the batch has its contrast multiplied by low..high before noise is added."""

    share: float = 0.0
    low: float = 1.0
    high: float = 1.0


@dataclass(frozen=True)
class JpegRecipe:
    """A `share` of the batch goes through JPEGs of quality low..high after the noise.

    A share `halved` of those have colour at half resolution. For nets that judge or measure noise.
    """

    share: float = 0.0
    low: float = 60.0
    high: float = 99.0
    halved: float = 0.5


@dataclass(frozen=True)
class OptimRecipe:
    """Optimiser, schedule and budget.

    Attributes:
        name: adam, adamw or muon (matrices by Muon, the rest by Adam).
        lr: peak learning rate; for muon that of the matrices, with `adam_lr` for the rest.
        schedule: trapezoid (warm up, hold, fall linearly over the last `cooldown` steps), cosine,
            or halving (warm up, then half the rate from each step of `halvings` on).
        batch, groups: crops a step, drawn in `groups` that share one kind of noise. Processes of a
            distributed run each take a part of the groups.
        clip: largest norm of the gradient; 0 for none.
        ema: decay of the averaged weights, which are what is shipped; 0 for none.
    """

    name: str = "muon"
    lr: float = 0.02
    adam_lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    schedule: str = "trapezoid"
    steps: int = 20000
    warmup: int = 200
    cooldown: int = 5000
    halvings: tuple[int, ...] = ()
    batch: int = 16
    groups: int = 4
    clip: float = 0.0
    ema: float = 0.999


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
    """All of it.

    Attributes:
        name, arch, net: the model's name, its architecture and that one's config.
        about: title, summary, licence, training_data and quality for the model's card.
        loss: l1 or l2, over all pixels.
        clip_share: share of the groups whose noisy crops are clipped, and rounded to 8 bits too
            where `rounded` is true.
        level_error: deviation of the logarithm of the level that a levelled net is told.
        level_map: share of the groups with noise that depends on brightness for which a levelled
            net is told the level of each pixel, and not one for all.
        seed: of every random choice.
        start: weights (.safetensors) to begin from, relative to the recipe; empty for none.
        text: the recipe file as it stood.
    """

    name: str
    arch: str
    data: DataRecipe
    noise: tuple[NoiseRecipe, ...]
    net: dict[str, Any] = field(default_factory=dict)
    mask: MaskRecipe = MaskRecipe()
    contrast: ContrastRecipe = ContrastRecipe()
    jpeg: JpegRecipe = JpegRecipe()
    optim: OptimRecipe = OptimRecipe()
    watch: WatchRecipe = WatchRecipe()
    about: dict[str, str] = field(default_factory=dict)
    loss: str = "l1"
    clip_share: float = 0.5
    level_error: float = 0.0
    level_map: float = 0.0
    seed: int = 0
    rounded: bool = True
    start: str = ""
    text: str = ""

    @property
    def rendered(self) -> bool:
        """Whether its sources are renders, noise and all."""
        return any(row.kind == SAMPLES for row in self.noise)

    @property
    def metered(self) -> bool:
        """Whether its net says how strong the noise is."""
        return self.arch in METERS

    @property
    def judged(self) -> bool:
        """Whether its net judges the noise itself."""
        return bool(self.net.get("judge", False))

    @property
    def side(self) -> int:
        """Of the crops that are drawn, pixels."""
        return max(self.data.crop, self.data.context)

    @property
    def channels(self) -> int:
        """Colour channels of the net: 3, or 1 for a gray one."""
        return int(self.net.get("channels", 3))


CHOICES = {
    (OptimRecipe, "name"): ("muon", "adam", "adamw"),
    (OptimRecipe, "schedule"): ("trapezoid", "cosine", "halving"),
    (Recipe, "loss"): ("l1", "l2"),
}


def load(path: Path, changes: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe, over its base where it has one, with `changes` laid over it.

    Raises:
        UsageError: it cannot be read, or says something that makes no sense; names the key.
    """
    table, text = recipe_files.read(path, changes)
    return parse(table, str(path), text)


def parse(table: dict[str, Any], where: str = "recipe", text: str = "") -> Recipe:
    """A recipe from its TOML table. Raises UsageError as `load` does."""
    table = dict(table)
    parts: dict[str, Any] = {"text": text}
    for key, kind in (
        ("data", DataRecipe),
        ("mask", MaskRecipe),
        ("contrast", ContrastRecipe),
        ("jpeg", JpegRecipe),
        ("optim", OptimRecipe),
        ("watch", WatchRecipe),
    ):
        if key in table:
            parts[key] = _fill(kind, table.pop(key), f"{where}: [{key}]")
    rows = table.pop("noise", [])
    parts["noise"] = tuple(_fill(NoiseRecipe, row, f"{where}: [[noise]]") for row in rows)
    recipe = _fill(Recipe, table, where, **parts)
    unknown = set(recipe.about) - ABOUT
    if unknown:
        raise UsageError(f"{where}: [about] holds {', '.join(sorted(ABOUT))} only")
    if recipe.about.get("quality", "") not in APART:
        raise UsageError(f"{where}: [about] quality must be fast, best, or left out")
    _check(recipe, where)
    return recipe


def _fill(kind: type, table: dict[str, Any], where: str, **ready: Any) -> Any:
    """A dataclass from a table, complaining about every key that is unknown, missing or odd."""
    known = {f.name: f for f in fields(kind)}
    for key in table:
        if key not in known or key in ready:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it knows {', '.join(known)}"
            raise UsageError(f"{where}: unknown key {key!r}{hint}")
    values = {key: _typed(value, known[key], where) for key, value in table.items()} | ready
    for name, f in known.items():
        if name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise UsageError(f"{where}: {name!r} is missing")
    for (owner, name), choices in CHOICES.items():
        if owner is kind and values.get(name, choices[0]) not in choices:
            raise UsageError(f"{where}: {name} = {values[name]!r}; choose {', '.join(choices)}")
    return kind(**values)


def _typed(value: Any, f: Any, where: str) -> Any:
    """Lists become tuples, whole numbers become floats where floats are wanted."""
    wanted = str(f.type)
    if isinstance(value, list) and wanted.startswith("tuple"):
        return tuple(tuple(v) if isinstance(v, list) else v for v in value)
    if wanted == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    simple = {"int": int, "float": float, "str": str, "bool": bool}.get(wanted)
    if simple and (not isinstance(value, simple) or (simple is int and isinstance(value, bool))):
        raise UsageError(f"{where}: {f.name} = {value!r} should be of type {wanted}")
    return value


def _check(recipe: Recipe, where: str) -> None:
    """The numbers must fit together before hours are spent on them."""
    optim, data, mask, contrast = recipe.optim, recipe.data, recipe.mask, recipe.contrast
    jpeg = recipe.jpeg
    problems = [
        (not data.sources, "[data] sources is empty"),
        (data.crop < 8, "[data] crop must be at least 8 pixels"),
        (data.hold_out == 1 or data.hold_out < 0, "[data] hold_out = 1 would keep every picture"),
        (not 0 <= data.gray <= 1, "[data] gray is a share between 0 and 1"),
        (optim.steps < 1, "[optim] steps must be at least 1"),
        (optim.groups < 1 or optim.batch < 1, "[optim] batch and groups must be at least 1"),
        (optim.groups >= 1 and optim.batch % optim.groups, "[optim] groups must divide batch"),
        (optim.warmup > optim.steps, "[optim] warmup exceeds steps"),
        (
            optim.schedule == "trapezoid" and optim.warmup + optim.cooldown > optim.steps,
            "[optim] warmup + cooldown exceed steps",
        ),
        (optim.lr <= 0, "[optim] lr must be above 0"),
        (not 0 <= optim.ema < 1, "[optim] ema is a decay in [0, 1)"),
        (not 0 <= mask.low <= mask.high < 1, "[mask] needs 0 <= low <= high < 1"),
        (recipe.level_error < 0, "level_error must be at least 0"),
        (not 0 <= recipe.level_map <= 1, "level_map is a share between 0 and 1"),
        (
            mask.alone and (mask.share < 1 or mask.low <= 0),
            "[mask] alone needs share 1 and low > 0",
        ),
        (not 0 <= mask.samples <= 1, "[mask] samples is a share between 0 and 1"),
        (not 0 < contrast.low <= contrast.high, "[contrast] needs 0 < low <= high"),
        (any(row.low > row.high for row in recipe.noise), "[[noise]] low is above high"),
        (any(row.weight <= 0 for row in recipe.noise), "[[noise]] weight must be above 0"),
        (not _rising(data.scales or (1.0, 1.0)), "[data] scales = [low, high], 0 < low <= high"),
        (not 0 <= jpeg.share <= 1, "[jpeg] share is between 0 and 1"),
        (not 1 <= jpeg.low <= jpeg.high <= 100, "[jpeg] needs 1 <= low <= high <= 100"),
        (not 0 <= data.enlarged <= 1, "[data] enlarged is a share between 0 and 1"),
        (
            (jpeg.share and not (recipe.judged or recipe.metered))
            or (data.enlarged and not recipe.metered),
            "[jpeg] and [data] enlarged are for a net that measures noise",
        ),
        (
            data.context and (not recipe.judged or (data.context - data.crop) % 16),
            "[data] context is for a net with a judge, and crop plus a multiple of 16",
        ),
        (recipe.metered and recipe.mask.share, "a net that measures noise goes with no masks"),
        (recipe.watch.every < 1, "[watch] every must be at least 1"),
        (recipe.watch.pictures < 1, "[watch] pictures must be at least 1"),
        (not recipe.noise, "at least one [[noise]] table is needed"),
    ]
    for wrong, message in problems:
        if wrong:
            raise UsageError(f"{where}: {message}")
    if data.textures and not recipe.rendered:
        raise UsageError(f"{where}: [data] textures are for renders: [[noise]] {SAMPLES}")
    if recipe.rendered:
        _check_rendered(recipe, where)
        return
    drawn = [row for row in recipe.noise if row.kind == PHOTONS]
    if any(not 0.5 <= row.low <= row.high <= 150 for row in drawn):
        raise UsageError(f"{where}: [[noise]] {PHOTONS}: levels from 0.5 to 150, after stabilising")
    others = [row for row in recipe.noise if row.kind not in (PHOTONS, CLEAN)]
    rows = [(row.kind, level) for row in others for level in (row.low, row.high)]
    try:
        for kind, level in [*rows, *recipe.watch.rows]:
            _trainable(kind).check(level)
    except (UsageError, TypeError, ValueError) as error:
        raise UsageError(f"{where}: [[noise]] or [watch] rows: {error}") from error


def _trainable(kind: str) -> noise.NoiseType:
    """The noise of that name. Raises UsageError for one that is kept for tests."""
    found = noise.get(kind)
    if found.held_out:
        raise UsageError(
            f"{kind} is kept for tests on noise that no model has seen (mdn bench --noise "
            "unknown); train on another"
        )
    return found


def _rising(scales: tuple[float, ...]) -> bool:
    return len(scales) == 2 and 0 < scales[0] <= scales[1]


def _check_rendered(recipe: Recipe, where: str) -> None:
    """Of renders the noise is in the files: what adds to a clean picture has no place here."""
    kinds = {row.kind for row in recipe.noise} | {kind for kind, _ in recipe.watch.rows}
    added = recipe.data.gray or recipe.mask.share or recipe.contrast.share or recipe.data.hold_out
    for wrong, message in (
        (kinds != {SAMPLES}, f"[[noise]] and [watch] rows must all be of kind {SAMPLES}, or none"),
        (added, f"[[noise]] {SAMPLES} goes with no gray, hold_out, masks or contrast"),
        (any(row.low < 1 for row in recipe.noise), f"[[noise]] {SAMPLES}: low is at least 1"),
        (recipe.net.get("guides") != GUIDES, f"[[noise]] {SAMPLES} needs [net] guides = {GUIDES}"),
    ):
        if wrong:
            raise UsageError(f"{where}: {message}")
