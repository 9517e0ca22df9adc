"""One EXR file: which layers are denoised and with which guides, and the file that comes of it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mdn.encoding.hdr import exposure
from mdn.errors import FileError
from mdn.io.exr import Exr
from mdn.io.exr.layers import Layer, layers, scene_of
from mdn.pipeline import external, linear
from mdn.pipeline.blend import shares
from mdn.pipeline.denoise_tiles import ALBEDO, NORMAL, PLANES
from mdn.pipeline.options import Options
from mdn.registry.model import Model
from mdn.renders import light_sums, repair
from mdn.renders.options import AUTO, RenderOptions, Source, chosen, guides_for, kept


@dataclass(frozen=True)
class Constants:
    """What is the same for every frame of a sequence.

    exposures: by view layer ("" where a file has none), of its beauty. depth: that counts as 1.
    """

    exposures: Mapping[str, float] = field(default_factory=dict)
    depth: float = 1.0

    def exposure(self, found: Sequence[Layer], layer: Layer) -> float:
        """That of the view layer that a layer is of."""
        return self.exposures.get(scene_of(found, layer), 1.0)


@dataclass(frozen=True)
class Planned:
    """What is to be done to one file."""

    file: Exr
    found: list[Layer]  # all its layers
    targets: list[Layer]  # those to denoise
    guides: dict[Layer, list[Source]]  # by target, where its guides are
    sums: list[light_sums.Sum] = field(default_factory=list)  # lights that are to add up


def plan(file: Exr, asked: RenderOptions, *, needed: bool = True) -> Planned:
    """Reads the layers' roles, and chooses.

    needed: whether a file without a beauty is an error; else nothing of it is denoised.

    Raises FileError: see `options.chosen`.
    """
    found = layers(file)
    try:
        targets = chosen(file, found, asked)
    except FileError:
        if needed or asked.layers:
            raise
        targets = []
    adding: list[light_sums.Sum] = []
    if asked.keep_sums:
        free = [layer for layer in found if layer not in kept(file, found, asked)]
        adding = [each for each in light_sums.find(file, free) if each.total in targets]
        terms = {term for each in adding for term in each.terms}
        targets = [layer for layer in found if layer in targets or layer in terms]
    guides = {layer: guides_for(file, found, layer, asked) for layer in targets}
    return Planned(file, found, targets, guides, adding)


def measure(planned: Planned) -> Constants:
    """Exposure and depth of one frame: of each view layer that of its beauty, or first light."""
    if not planned.targets:
        return Constants()
    heads: dict[str, Layer] = {}
    for layer in sorted(planned.targets, key=lambda each: each.role != "beauty"):
        heads.setdefault(scene_of(planned.found, layer), layer)
    exposures = {scene: exposure(head.pixels(planned.file)) for scene, head in heads.items()}
    first = planned.targets[0]
    depths = [each for each in planned.guides[first] if each.role == "depth"]
    deep = 1.0
    if depths:
        values = np.abs(depths[0].layer.pixels(depths[0].file).astype(np.float32))
        values = values[np.isfinite(values) & (values < 1e9)]  # beyond: "no surface"
        deep = float(np.percentile(values, 99)) if values.size else 1.0
    return Constants(exposures, deep or 1.0)


@dataclass(frozen=True, eq=False)
class Cleaned:
    """The light of a frame's targets: as the nets got it, and without its noise; (H, W, C)."""

    given: dict[Layer, np.ndarray]
    light: dict[Layer, np.ndarray]
    odd: Counter[str]  # samples that were rebuilt, by kind


def clean(
    planned: Planned,
    model: Model,
    options: Options,
    asked: RenderOptions,
    constants: Constants,
    progress: Callable[[float], None] = lambda share: None,
) -> Cleaned:
    """The targets denoised."""
    cleaned = Cleaned({}, {}, Counter())
    cleaner = external.guide_model()
    for index, layer in enumerate(planned.targets):
        share = lambda done, index=index: progress((index + done) / len(planned.targets))  # noqa: E731
        sources = planned.guides[layer]
        auxiliary, guides = auxiliary_features(sources), _guides(sources, constants)
        prefiltered = auxiliary is not None and asked.prefilter == AUTO
        if prefiltered and auxiliary is not None:
            auxiliary = external.clean_guides(auxiliary, cleaner)
            guides = _without_empty(auxiliary)
        given, repairs = repair.prepared(layer.pixels(planned.file), asked.fireflies, guides)
        cleaned.odd.update(repairs)
        cleaned.given[layer] = given
        cleaned.light[layer] = linear.restore(
            given,
            model,
            options,
            exposure=constants.exposure(planned.found, layer),
            tonemap=asked.tonemap,
            auxiliary=auxiliary,
            guides=guides,
            clean_guides=prefiltered,
            progress=share,
        )
    return cleaned


def denoise(
    planned: Planned,
    model: Model,
    options: Options,
    asked: RenderOptions,
    constants: Constants,
) -> tuple[Exr, frozenset[tuple[int, str]], Counter[str]]:
    """A frame by itself: `clean` and `finished`."""
    cleaned = clean(planned, model, options, asked, constants)
    return finished(planned, cleaned, options, asked)


def finished(
    planned: Planned,
    cleaned: Cleaned,
    options: Options,
    asked: RenderOptions,
    light: dict[Layer, np.ndarray] | None = None,
) -> tuple[Exr, frozenset[tuple[int, str]], Counter[str]]:
    """The file with its targets denoised; at strength 0 the file itself.

    Args:
        options: their strength mixes with the noisy light, in linear light.
        light: in place of the cleaned one, such as that blended with other frames.

    Returns:
        The file, the channels that are not as they came, and counts of odd samples.
    """
    if options.strength == 0:
        return planned.file, frozenset(), Counter()
    results: dict[Layer, np.ndarray] = {}
    ranges: dict[Layer, np.ndarray] = {}
    for layer, result in (light or cleaned.light).items():
        given = cleaned.given[layer]
        ranges[layer] = np.stack([given.min((0, 1)), given.max((0, 1))])
        shown = np.clip(given, 0, 1) if asked.tonemap == "srgb" else given
        result = given + options.share * shares(repair.within(result, shown) - given, options)
        results[layer] = _keep_empty(planned.file, layer, result)
    return _stored(planned, results, ranges, cleaned.odd)


def auxiliary_features(sources: list[Source]) -> np.ndarray | None:
    """Albedo and normal as a guided net takes them: (H, W, 6) float32, zeros for what is absent."""
    planes: np.ndarray | None = None
    for source in sources:
        channels = len(source.layer.channels)
        if (source.role, channels) not in (("albedo", 1), ("albedo", 3), ("normal", 3)):
            continue  # of a normal no part is of use alone
        values = _bounded(source.layer.pixels(source.file).astype(np.float32))
        if planes is None:
            planes = np.zeros((*values.shape[:2], PLANES), np.float32)
        planes[..., ALBEDO if source.role == "albedo" else NORMAL] = values
    return planes


def _without_empty(auxiliary: np.ndarray) -> np.ndarray:
    """Albedo and normal without noise, to refine with; those that are there."""
    return auxiliary[..., auxiliary.any((0, 1))]


def _guides(sources: list[Source], constants: Constants) -> np.ndarray | None:
    """(H, W, D) float32, each about 0..1, finite."""
    planes = []
    for source in sources:
        values = source.layer.pixels(source.file).astype(np.float32)
        if source.role == "depth":
            values = np.clip(values / constants.depth, -1, 1)
        planes.append(_bounded(values))
    return np.concatenate(planes, -1) if planes else None


def _bounded(values: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(values, posinf=1, neginf=0), -1, 2)


def _keep_empty(file: Exr, layer: Layer, result: np.ndarray) -> np.ndarray:
    """Pixels with alpha 0 and no light stay 0, as colour is premultiplied."""
    if not layer.alpha:
        return result
    empty = file.parts[layer.part][layer.alpha] == 0
    empty &= (layer.pixels(file) == 0).all(-1)
    return np.where(empty[..., None], 0, result)


def _stored(
    planned: Planned,
    light: dict[Layer, np.ndarray],
    ranges: dict[Layer, np.ndarray],
    odd: Counter[str],
) -> tuple[Exr, frozenset[tuple[int, str]], Counter[str]]:
    """The layers rounded to their dtypes, sums kept, in a file that is otherwise the same.

    ranges: of each layer, (2, C): the least and the largest of each channel, which sums keep to.
    """
    parts = [dict(part) for part in planned.file.parts]
    changed: set[tuple[int, str]] = set()

    for layer, values in light.items():
        for at, key in enumerate(layer.channels):
            parts[layer.part][key] = values[..., at].astype(parts[layer.part][key].dtype)
            changed.add((layer.part, key))
    last = {each.total: each for each in planned.sums}
    for each in planned.sums:
        for at, key in enumerate(each.total.channels):
            total = parts[each.total.part][key]
            planes = [parts[term.part][term.channels[at]] for term in each.terms]
            bounds = [ranges[term][:, at] for term in each.terms]
            highest = ranges[each.total][1, at]
            colours = [
                None if colour is None else parts[colour.part][colour.channels[at]]
                for colour in each.factors
            ]
            terms, summed = light_sums.kept(total, planes, bounds, float(highest), colours)
            for term, plane in zip(each.terms, terms, strict=True):
                parts[term.part][term.channels[at]] = plane
            if each is last[each.total]:  # of several sums, as the last one says
                parts[each.total.part][key] = summed
    return replace(planned.file, parts=tuple(parts)), frozenset(changed), +odd


def mapping(planned: Planned, changed: frozenset[tuple[int, str]]) -> list[dict[str, object]]:
    """Every layer: its channels, its role, and what became of it; guides of other files last."""
    guiding = {
        source.layer
        for each in planned.guides.values()
        for source in each
        if source.file is planned.file
    }
    rows: list[dict[str, object]] = [
        {
            "layer": layer.name,
            "part": planned.file.headers.parts[layer.part].name or layer.part,
            "channels": [*layer.channels, *([layer.alpha] if layer.alpha else [])],
            "role": layer.role,
            "fate": _fate(layer, changed) + (", guides" if layer in guiding else ""),
        }
        for layer in planned.found
    ]
    elsewhere = {
        (source.file.name, source.layer): source.role
        for sources in planned.guides.values()
        for source in sources
        if source.file is not planned.file
    }
    return rows + [
        {
            "layer": layer.name,
            "file": name,
            "channels": [*layer.channels],
            "role": role,
            "fate": f"guides, of {name}",
        }
        for (name, layer), role in elsewhere.items()
    ]


def _fate(layer: Layer, changed: frozenset[tuple[int, str]]) -> str:
    if (layer.part, layer.channels[0]) not in changed:
        return "bit for bit"
    return "denoised, but alpha" if layer.alpha else "denoised"
