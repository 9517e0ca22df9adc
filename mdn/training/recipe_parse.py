"""From the file of a recipe to its values; all that is wrong with it in one message."""

import dataclasses
import difflib
import json
import operator
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mdn import noise
from mdn.errors import FaultsError, UsageError
from mdn.nets import ARCHITECTURES
from mdn.registry.cards import CARD_QUALITIES
from mdn.training.cases import CASES
from mdn.training.recipe import (
    CLEAN,
    GUIDES,
    PHOTONS,
    SAMPLES,
    ContrastRecipe,
    DataRecipe,
    JpegRecipe,
    MaskRecipe,
    NoiseRecipe,
    OptimRecipe,
    Recipe,
    WatchRecipe,
)

SECTIONS: dict[str, type] = {
    "data": DataRecipe,
    "noise": NoiseRecipe,
    "mask": MaskRecipe,
    "contrast": ContrastRecipe,
    "jpeg": JpegRecipe,
    "optim": OptimRecipe,
    "watch": WatchRecipe,
}
_RECIPES = TypeAdapter(Recipe)
# Keys of a form that needs more words than its type.
_FORMS = {("watch", "rows"): "[kind, level]"}
# What is words of a value, by pydantic's kind of error; braces take what pydantic says of it.
_WORDS = {
    "tuple_type": "should be a list, in [ ]",
    "dict_type": "should be a table",
    "dataclass_type": "must be a table of keys and values",
    "finite_number": "should be a finite number",
    "too_short": "is empty",
    "literal_error": "choose {expected}",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
}
_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "too_short")


def parse(table: dict[str, Any], where: str = "recipe", text: str = "") -> Recipe:
    """A recipe from its TOML table.

    Args:
        where: what messages call it.
        text: the file as it stood.

    Raises UsageError: it says something that makes no sense; names every fault of single values,
    or else of what does not go together.
    """
    if "text" in table:  # a field, but no key
        raise UsageError(f"{where}: unknown key 'text'")
    try:
        recipe = replace(_RECIPES.validate_json(json.dumps(table, default=str)), text=text)
        faults = faults_of(recipe)
    except ValidationError as error:
        faults = list(dict.fromkeys(map(_line, error.errors())))
    if faults:
        raise FaultsError(where, faults)
    return recipe


def _line(error: Any) -> str:
    """One fault that pydantic found, as people find it in the file."""
    section, *rest = (part for part in error["loc"] if isinstance(part, str))
    key, kind = rest[0] if rest else section, error["type"]
    place = {"noise": "[[noise]] "}.get(section, f"[{section}] ") if rest else ""
    if kind == "missing" and len(error["loc"]) <= 3 and isinstance(error["loc"][-1], str):
        return f"{place}{key!r} is missing"
    if kind == "unexpected_keyword_argument":
        options = fields(SECTIONS[section] if rest else Recipe)
        return f"{place}unknown key {key!r}{nearest(key, [field.name for field in options])}"
    if kind == "dataclass_type":
        return f"[{section}] {_WORDS[kind]}"
    if kind == "value_error":  # see recipe.Kind
        return f"{place}{error['ctx']['error']}"
    form = _FORMS.get((section, key), "") if len(error["loc"]) > 2 else ""
    if form and kind not in _BOUNDS:
        return f"{place}{key} are of {form} each"
    words = _WORDS.get(kind, f"should be of type {kind.partition('_')[0]}")
    words = words.format(**error.get("ctx", {})).replace("'", "").replace(" or ", ", ")
    value = "" if kind in _BOUNDS else f" = {error['input']!r}:"
    return f"{place}{key}{value} {words}"


# --- what does not go together ----------------------------------------------------------------

ABOUT = {"title", "summary", "licence", "training_data", "quality"}
# Keys that nothing reads where a net has a judge: it is given neither a level nor other contrast,
# and has a loss of its own.
NOT_JUDGED = "loss rounded level_error contrast.share mask.alone"
BLANK = Recipe("", "", DataRecipe(()), ())  # all else by its default


def faults_of(recipe: Recipe) -> list[str]:
    """Every fault of a recipe whose values are right by themselves, a line each; empty if none."""
    faults = [*_net(recipe), *(message for wrong, message in _numbers(recipe) if wrong)]
    if recipe.rendered:
        return faults + [message for wrong, message in _rendered(recipe) if wrong]
    return faults + list(dict.fromkeys(_levels(recipe)))


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint for a word that is unknown: the one that was meant, or all that there are."""
    near = difflib.get_close_matches(word, sorted(words), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; it knows {', '.join(sorted(words))}"


def _net(recipe: Recipe) -> Iterator[str]:
    """An architecture that there is not, and what its config does not know."""
    if recipe.arch not in ARCHITECTURES:
        yield f"arch = {recipe.arch!r} is unknown{nearest(recipe.arch, ARCHITECTURES)}"
        return
    keys = [field.name for field in dataclasses.fields(ARCHITECTURES[recipe.arch][0])]
    yield from (f"[net] {key} is unknown{nearest(key, keys)}" for key in recipe.net.keys() - keys)


def _numbers(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    """Whether each fault is there, and what it is called."""
    yield bool(set(recipe.about) - ABOUT), f"[about] holds {', '.join(sorted(ABOUT))} only"
    quality = recipe.about.get("quality", "")
    yield quality not in CARD_QUALITIES, "[about] quality must be fast, best, or left out"
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
    yield data.hold_out == 1 or data.hold_out < 0, "[data] hold_out = 1 would keep every picture"
    yield not 0 < low <= high, "[data] scales = [low, high], 0 < low <= high"
    usable = recipe.judged and (data.context - data.crop) % 16 == 0
    rule = "[data] context is for a net with a judge, and crop plus a multiple of 16"
    yield bool(data.context) and not usable, rule
    yield bool(recipe.jpeg.share) and not recipe.judged, "[jpeg] is for a net with a judge"
    count = recipe.net.get("kernels", 0)
    joins = len(recipe.join) not in (0, count)
    yield joins, f"join names {len(recipe.join)} nets for [net] kernels = {count}"
    twofold = recipe.second_noise > 0 and not recipe.judged
    yield twofold, "second_noise is for a net with a judge"
    rule = f"[data] textures are for renders: [[noise]] {SAMPLES}"
    yield bool(data.textures) and not recipe.rendered, rule
    rule = f"[data] teacher is for renders: [[noise]] {SAMPLES}"
    yield bool(data.teacher) and not recipe.rendered, rule
    shown = recipe.loss == "shown" and not recipe.rendered
    yield shown, f"loss = 'shown' is for renders: [[noise]] {SAMPLES}"


def _optim(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    optim = recipe.optim
    yield optim.batch % optim.groups != 0, "[optim] groups must divide batch"
    falls = optim.cooldown if optim.schedule == "trapezoid" else 0
    both = f"warmup ({optim.warmup})" + (f" + cooldown ({optim.cooldown})" if falls else "")
    yield (
        optim.warmup + falls > optim.steps,
        f"[optim] {both} exceed steps ({optim.steps}); left out, they follow from the steps",
    )


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
    yield not recipe.noise, "at least one [[noise]] table is needed"
    yield any(row.low > row.high for row in recipe.noise), "[[noise]] low is above high"


def _levels(recipe: Recipe) -> Iterator[str]:
    """Kinds of noise that there are not, and levels that they do not have."""
    photons = [row for row in recipe.noise if row.kind == PHOTONS]
    if any(not 0.2 <= row.low <= row.high <= 150 for row in photons):
        yield f"[[noise]] {PHOTONS}: levels from 0.2 to 150, after stabilising"
    for row in recipe.noise:
        if row.kind in CASES and not (recipe.judged and _within(row, CASES[row.kind].limits)):
            low, high = CASES[row.kind].limits
            yield f"[[noise]] {row.kind} is for a net with a judge, at {low:g} to {high:g}"
    others = [row for row in recipe.noise if row.kind not in (PHOTONS, CLEAN, *CASES)]
    trained = [("[[noise]]", row.kind, level) for row in others for level in (row.low, row.high)]
    watched = [("[watch] rows:", *row) for row in recipe.watch.rows]
    for where, kind, level in [*trained, *watched]:
        try:
            _trainable(kind).check(level)
        except (UsageError, TypeError, ValueError) as error:
            yield f"{where} {error}"


def _within(row: NoiseRecipe, limits: tuple[float, float]) -> bool:
    return limits[0] <= row.low and row.high <= limits[1]


def _trainable(kind: str) -> noise.NoiseType:
    """The noise of that name. Raises UsageError for one that is kept for tests."""
    kind_of_noise = noise.get(kind)
    if kind_of_noise.held_out:
        raise UsageError(
            f"{kind} is kept for tests on noise that no model has seen (mdn bench --noise "
            "unknown); train on another"
        )
    return kind_of_noise


def _rendered(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    """Of renders the noise is in the files: what adds to a clean picture has no place here."""
    kinds = {row.kind for row in recipe.noise} | {row[0] for row in recipe.watch.rows}
    added = recipe.data.gray or recipe.mask.share or recipe.contrast.share or recipe.data.hold_out
    about = f"[[noise]] {SAMPLES}"
    yield kinds != {SAMPLES}, f"[[noise]] and [watch] rows must all be of kind {SAMPLES}, or none"
    yield bool(added), f"{about} goes with no gray, hold_out, masks or contrast"
    yield any(row.low < 1 for row in recipe.noise), f"{about}: low is at least 1"
    yield recipe.net.get("guides") != GUIDES, f"{about} needs [net] guides = {GUIDES}"
