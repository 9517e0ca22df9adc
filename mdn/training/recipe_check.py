"""What is wrong with a recipe: its numbers must fit together before hours are spent on them."""

import dataclasses
import difflib
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mdn import noise
from mdn.errors import UsageError
from mdn.nets import ARCHITECTURES
from mdn.registry.cards import CARD_QUALITIES
from mdn.training.recipe import CLEAN, GUIDES, PHOTONS, SAMPLES, DataRecipe, Recipe

ABOUT = {"title", "summary", "licence", "training_data", "quality"}
SHARES = (
    "level_map clip_share data.gray data.patterns data.busy data.own_size mask.share mask.samples"
    " mask.impulses second_noise contrast.share jpeg.share jpeg.halved data.teacher"
)
# Keys, what is to be said of them, and whether a value is good.
RANGES: tuple[tuple[str, str, Callable[[float], bool]], ...] = (
    (SHARES, "is a share between 0 and 1", lambda value: 0 <= value <= 1),
    ("optim.lr optim.adam_lr", "must be above 0", lambda value: value > 0),
    ("level_error optim.weight_decay optim.clip", "must be at least 0", lambda value: value >= 0),
    ("optim.warmup optim.cooldown", "must be at least 0", lambda value: value >= 0),
    ("optim.steps optim.batch optim.groups", "must be at least 1", lambda value: value >= 1),
    ("watch.every watch.pictures", "must be at least 1", lambda value: value >= 1),
)
# Keys that nothing reads where a net has a judge: it is given neither a level nor other contrast,
# and has a loss of its own.
NOT_JUDGED = "data.growth loss rounded level_error level_map contrast.share mask.alone"
BLANK = Recipe("", "", DataRecipe(()), ())  # all else by its default


def faults_of(recipe: Recipe) -> list[str]:
    """Every fault of a recipe whose values are of the right types, a line each; empty if none."""
    found = [*_net(recipe), *(message for wrong, message in _numbers(recipe) if wrong)]
    if recipe.rendered:
        return found + [message for wrong, message in _rendered(recipe) if wrong]
    return found + list(dict.fromkeys(_levels(recipe)))


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a word that is unknown: the one that was meant, or all that there are."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; it knows {', '.join(sorted(known))}"


def _net(recipe: Recipe) -> Iterator[str]:
    """An architecture that there is not, and what its config does not know."""
    if recipe.arch not in ARCHITECTURES:
        if recipe.arch:  # empty stands for a missing one
            yield f"arch = {recipe.arch!r} is unknown{nearest(recipe.arch, ARCHITECTURES)}"
        return
    known = [field.name for field in dataclasses.fields(ARCHITECTURES[recipe.arch][0])]
    yield from (f"[net] {key} is unknown{nearest(key, known)}" for key in recipe.net.keys() - known)


def _numbers(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    """Whether each fault is there, and what it is called."""
    yield bool(set(recipe.about) - ABOUT), f"[about] holds {', '.join(sorted(ABOUT))} only"
    quality = recipe.about.get("quality", "")
    yield quality not in CARD_QUALITIES, "[about] quality must be fast, best, or left out"
    for keys, wanted, good in RANGES:
        for key in keys.split():
            yield not good(_value(recipe, key)), f"{_written(key)} {wanted}"
    for key in NOT_JUDGED.split():
        unread = recipe.judged and _value(recipe, key) != _value(BLANK, key)
        yield unread, f"{_written(key)} is not for a net with a judge"
    yield from _data(recipe)
    yield from _optim(recipe)
    yield from _parts(recipe)


def _value(recipe: Recipe, key: str) -> Any:
    """Of "section.name", or of a name at the top."""
    return operator.attrgetter(key)(recipe)


def _written(key: str) -> str:
    """As people find it in the file: [section] name."""
    section, _, name = key.rpartition(".")
    return f"[{section}] {name}" if section else name


def _data(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    data = recipe.data
    low, high = data.scales if len(data.scales) == 2 else (1.0, 1.0 if not data.scales else 0.0)
    yield not data.sources, "[data] sources is empty"
    sides = [data.crop, *(pair[-1] for pair in data.growth)]
    yield min(sides) < 8, "[data] crop must be at least 8 pixels, and every side of growth"
    steps = [pair[0] for pair in data.growth]
    pairs = all(len(pair) == 2 for pair in data.growth) and steps == sorted(steps)
    yield not pairs, "[data] growth is of pairs [step, side], the earliest step first"
    yield data.hold_out == 1 or data.hold_out < 0, "[data] hold_out = 1 would keep every picture"
    yield not 0 < low <= high, "[data] scales = [low, high], 0 < low <= high"
    usable = recipe.judged and (data.context - data.crop) % 16 == 0
    wanted = "[data] context is for a net with a judge, and crop plus a multiple of 16"
    yield bool(data.context) and not usable, wanted
    yield bool(recipe.jpeg.share) and not recipe.judged, "[jpeg] is for a net with a judge"
    twofold = recipe.second_noise > 0 and not recipe.judged
    yield twofold, "second_noise is for a net with a judge"
    wanted = f"[data] textures are for renders: [[noise]] {SAMPLES}"
    yield bool(data.textures) and not recipe.rendered, wanted
    wanted = f"[data] teacher is for renders: [[noise]] {SAMPLES}"
    yield bool(data.teacher) and not recipe.rendered, wanted
    shown = recipe.loss == "shown" and not recipe.rendered
    yield shown, f"loss = 'shown' is for renders: [[noise]] {SAMPLES}"


def _optim(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    optim = recipe.optim
    yield optim.groups >= 1 and optim.batch % optim.groups != 0, "[optim] groups must divide batch"
    falls = optim.cooldown if optim.schedule == "trapezoid" else 0
    both = f"warmup ({optim.warmup})" + (f" + cooldown ({optim.cooldown})" if falls else "")
    yield (
        optim.steps >= 1 and optim.warmup + falls > optim.steps,
        f"[optim] {both} exceed steps ({optim.steps}); left out, they follow from the steps",
    )
    betas = len(optim.betas) == 2 and all(0 <= beta < 1 for beta in optim.betas)
    yield not betas, "[optim] betas are two numbers in [0, 1)"
    yield not 0 <= optim.ema < 1, "[optim] ema is a decay in [0, 1)"


def _parts(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    mask, contrast, jpeg = recipe.mask, recipe.contrast, recipe.jpeg
    yield not 0 <= mask.low <= mask.high < 1, "[mask] needs 0 <= low <= high < 1"
    alone = mask.alone and (mask.share < 1 or mask.low <= 0)
    yield alone, "[mask] alone needs share 1 and low > 0"
    by_sample = recipe.arch != "unet" or recipe.net.get("per_channel_mask", False)
    single = mask.share > 0 and mask.samples > 0 and not by_sample
    marked = mask.impulses > 0 and not (recipe.judged and by_sample)
    yield marked, "[mask] impulses needs [net] judge = true and per_channel_mask = true"
    yield single, "[mask] samples needs [net] per_channel_mask = true, or samples = 0"
    gray = recipe.judged and recipe.channels != 3
    yield gray, "[net] judge is for 3 channels; gray pictures are shown to it as three equal ones"
    told = recipe.net.get("noise_conditioned", False) and recipe.watch.pairs
    yield bool(told), "[watch] pairs have no known level, which [net] noise_conditioned needs"
    yield not 0 < contrast.low <= contrast.high, "[contrast] needs 0 < low <= high"
    yield not 1 <= jpeg.low <= jpeg.high <= 100, "[jpeg] needs 1 <= low <= high <= 100"
    rows = recipe.watch.rows
    yield any(len(row) != 2 for row in rows), "[watch] rows are of [kind, level] each"
    yield not recipe.noise, "at least one [[noise]] table is needed"
    yield any(row.low > row.high for row in recipe.noise), "[[noise]] low is above high"
    yield any(not row.weight > 0 for row in recipe.noise), "[[noise]] weight must be above 0"


def _levels(recipe: Recipe) -> Iterator[str]:
    """Kinds of noise that there are not, and levels that they do not have."""
    drawn = [row for row in recipe.noise if row.kind == PHOTONS]
    if any(not 0.2 <= row.low <= row.high <= 150 for row in drawn):
        yield f"[[noise]] {PHOTONS}: levels from 0.2 to 150, after stabilising"
    others = [row for row in recipe.noise if row.kind not in (PHOTONS, CLEAN)]
    trained = [("[[noise]]", row.kind, level) for row in others for level in (row.low, row.high)]
    watched = [("[watch] rows:", *row) for row in recipe.watch.rows if len(row) == 2]
    for where, kind, level in [*trained, *watched]:
        try:
            _trainable(kind).check(level)
        except (UsageError, TypeError, ValueError) as error:
            yield f"{where} {error}"


def _trainable(kind: str) -> noise.NoiseType:
    """The noise of that name. Raises UsageError for one that is kept for tests."""
    found = noise.get(kind)
    if found.held_out:
        raise UsageError(
            f"{kind} is kept for tests on noise that no model has seen (mdn bench --noise "
            "unknown); train on another"
        )
    return found


def _rendered(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    """Of renders the noise is in the files: what adds to a clean picture has no place here."""
    kinds = {row.kind for row in recipe.noise} | {row[0] for row in recipe.watch.rows}
    added = recipe.data.gray or recipe.mask.share or recipe.contrast.share or recipe.data.hold_out
    about = f"[[noise]] {SAMPLES}"
    yield kinds != {SAMPLES}, f"[[noise]] and [watch] rows must all be of kind {SAMPLES}, or none"
    yield bool(added), f"{about} goes with no gray, hold_out, masks or contrast"
    yield any(row.low < 1 for row in recipe.noise), f"{about}: low is at least 1"
    yield recipe.net.get("guides") != GUIDES, f"{about} needs [net] guides = {GUIDES}"
