"""Renders: whatever is in a file, nothing of it is destroyed, and nothing appears in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mdn.io import exr
from mdn.io.exr import Exr
from mdn.io.exr import layers as lay
from mdn.pipeline.options import Options
from mdn.registry.model import Model
from mdn.renders import RenderOptions, fireflies, frame, negatives, repair
from mdn.renders.fireflies import Rule
from tests.io.exr import samples
from tests.pipeline.tools import load
from tests.renders import scenes
from tests.renders.test_exr_job import beauty, changed, denoise

few = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
HEIGHT, WIDTH = scenes.SHAPE
DEFAULT = RenderOptions()


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {name: load(name) for name in ("render", "photo")}


@st.composite
def routes(draw: st.DrawFn) -> dict[str, object]:
    """Half or float, guides or none, which model, how strong, which layers, sums or not."""
    return {
        "dtype": draw(st.sampled_from([np.float16, np.float32])),
        "guides": draw(st.booleans()),
        "model": draw(st.sampled_from(["render", "render", "photo"])),
        "strength": draw(st.sampled_from([1.0, 0.6])),
        "prefix": draw(st.sampled_from(["", "ViewLayer.Combined.", "left."])),
    }


def noisy(seed: int, spp: float = 8.0) -> np.ndarray:
    return scenes.noisy(scenes.truth(), seed, spp).astype(np.float32)


def file_of(path: Path, light: np.ndarray, route: dict[str, object]) -> Exr:
    """A picture as the beauty of a file, with guides beside it or without."""
    height, width = light.shape[:2]
    prefix = str(route["prefix"])
    front = prefix.removesuffix("Combined.")
    planes = {prefix + key: light[..., at].astype(route["dtype"]) for at, key in enumerate("RGB")}
    if route["guides"]:
        normal = np.zeros((height, width, 3))
        normal[..., 2] = 1
        planes |= scenes.planes(f"{front}albedo.", scenes.albedo()[:height, :width])
        planes |= scenes.planes(f"{front}N.", normal, "XYZ")
    more = {"multiView": ["left", "right"]} if prefix == "left." else {}
    head = samples.header(dataWindow=samples.box((0, 0, width - 1, height - 1)), **more)
    return exr.read(samples.write(path / "in.exr", (head, planes)))


def restored(
    folder: Path,
    light: np.ndarray,
    route: dict[str, object],
    models: dict[str, Model],
    request: RenderOptions = DEFAULT,
) -> tuple[np.ndarray, Counter[str]]:
    """What becomes of the beauty, as stored, in float64; and the counts."""
    file = file_of(folder, light, route)
    planned = frame.plan(file, request)
    assert bool(planned.guides[planned.targets[0]]) == route["guides"]
    options = Options(strength=float(str(route["strength"])))
    model = models[str(route["model"])]
    constants = frame.measure(planned)
    result, _, odd = frame.denoise(planned, model, options, request, constants)
    return planned.targets[0].pixels(result).astype(np.float64), odd


def error(picture: np.ndarray) -> float:
    return float(np.sqrt(np.mean((picture - scenes.truth()) ** 2)))


seeds = st.integers(0, 2**16)


@few
@given(seeds, routes(), st.sampled_from([0.001, 0.02, 0.1]), st.sampled_from([0.05, 0.5, 50.0]))
def test_negative_samples_are_noise(
    tmp_path: Path,
    models: dict[str, Model],
    seed: int,
    route: dict[str, object],
    share: float,
    size: float,
) -> None:
    light = noisy(seed)
    spoilt = light.copy()
    spoilt[np.random.default_rng(seed).random(light.shape) < share] = -size
    result, _ = restored(tmp_path, spoilt, route, models)
    clean, _ = restored(tmp_path, light, route, models)
    assert result.min() >= 0
    clipped = np.maximum(spoilt, 0)
    assert error(result) < max(1.3 * error(clean), 0.8 * error(clipped))


@given(seeds, st.floats(0.02, 0.4), st.floats(0.0, 1.0))
@settings(max_examples=20)
def test_light_is_kept_where_negative_samples_were(seed: int, spread: float, dark: float) -> None:
    """Noise of both signs around a scene that goes down to black: its mean stays."""
    light = scenes.truth() * np.clip(scenes.albedo()[..., :1] - 0.1 * dark, 0, 1)
    light = light + np.random.default_rng(seed).normal(0, spread * light.mean(), light.shape)
    light = light.astype(np.float32)
    result = negatives.nonnegative(light)
    assert result.min() >= 0
    np.testing.assert_allclose(result.mean((0, 1)), light.mean((0, 1)), rtol=2e-3)
    assert not negatives.both_signs(light)


@few
@given(seeds, routes(), st.sampled_from(["structure", "noise", "sparse"]))
def test_layers_of_both_signs_stay_so(
    tmp_path: Path, models: dict[str, Model], seed: int, route: dict[str, object], kind: str
) -> None:
    random = np.random.default_rng(seed)
    waves = np.sin(np.arange(WIDTH) / 5)[None, :, None] * np.ones((HEIGHT, 1, 3))
    light = {
        "structure": 0.3 * waves + random.normal(0, 0.05, waves.shape),
        "noise": random.normal(0, 0.1, waves.shape),
        "sparse": random.normal(0, 1, waves.shape) * (random.random(waves.shape) < 0.05),
    }[kind]
    result, odd = restored(tmp_path, light, route, models)
    assert odd["of both signs"] == 1
    assert abs(result.mean() - light.mean()) < 3 * light.std() / np.sqrt(light.size / 3)
    if kind == "structure":
        assert np.corrcoef(result.ravel(), waves.ravel())[0, 1] > 0.95
        assert (result < -0.1).mean() > 0.25


SHAPES = [[(0, 0)], [(0, 0), (0, 1)], [(0, 0), (1, 1)], [(0, 0), (0, 1), (1, 0), (1, 1)]]
PLACES = [(0, 0), (0, WIDTH - 2), (HEIGHT - 2, 0), (HEIGHT - 2, WIDTH - 2), (0, 20), (17, 0)]


@st.composite
def clusters(draw: st.DrawFn) -> np.ndarray:
    """(H, W) bool: single fireflies, twos and fours, at borders, in corners and inside.

    They keep three pixels' distance, so that they stay what they are.
    """
    anywhere = st.tuples(st.integers(0, HEIGHT - 2), st.integers(0, WIDTH - 2))
    places = [*draw(st.lists(st.sampled_from(PLACES), max_size=3)), *draw(st.lists(anywhere))[:6]]
    places = places or [(0, 0)]
    result = np.zeros((HEIGHT, WIDTH), bool)
    for y, x in places:
        if not result[max(0, y - 3) : y + 5, max(0, x - 3) : x + 5].any():
            for down, across in draw(st.sampled_from(SHAPES)):
                result[y + down, x + across] = True
    return result


@few
@given(seeds, routes(), clusters(), st.sampled_from([300.0, 1000.0, 60000.0]))
def test_fireflies_leave_no_trace(
    tmp_path: Path,
    models: dict[str, Model],
    seed: int,
    route: dict[str, object],
    mask: np.ndarray,
    size: float,
) -> None:
    light = noisy(seed)
    spoilt = np.where(mask[..., None], size, light)
    result, odd = restored(tmp_path, spoilt, route, models)
    clean, _ = restored(tmp_path, light, route, models)
    assert odd["fireflies"] == mask.sum()
    assert error(result) < 1.1 * error(clean) + 0.002
    assert result.max() <= light.max() * 1.001
    far, _ = restored(tmp_path, spoilt, route, models, RenderOptions(clamp_fireflies=0))
    assert np.all(far.max((0, 1)) <= spoilt.max((0, 1)))  # left, they still exceed nothing


@given(seeds, clusters(), st.sampled_from([5.0, 10.0, 100.0]))
@settings(max_examples=25)
def test_the_clamp_keeps_its_word(seed: int, mask: np.ndarray, times: float) -> None:
    """Also where guides show each of them, and whatever the colour."""
    spoilt = noisy(seed, 50)
    spoilt[mask] = np.array([3, 1, 0.2]) * times
    guides = np.where(mask[..., None], 1.0, 0.2).astype(np.float32)
    found = fireflies.mask(spoilt, Rule(times, exceptions=False), guides)
    assert not (mask & ~found & (spoilt.mean(-1) > 2 * times * 1.3)).any()
    assert not (found & ~mask).any()
    spoilt[mask] *= 100
    assert np.array_equal(fireflies.mask(spoilt, Rule(times, exceptions=False), guides), mask)


@given(seeds, st.sampled_from([0.002, 0.01]), st.booleans())
@settings(max_examples=15)
def test_many_fireflies_that_touch(seed: int, share: float, one_channel: bool) -> None:
    random = np.random.default_rng(seed)
    light = noisy(seed)
    mask = random.random(light.shape if one_channel else light.shape[:2]) < share
    mask = mask if one_channel else np.repeat(mask[..., None], 3, -1)
    given, _ = repair.prepared(np.where(mask, 1000, light), Rule())
    assert given.max() <= light.max()
    assert abs(given.mean() / light.mean() - 1) < 0.02


def small_lights(kind: str, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture with small real lights, and the guides that show them."""
    y, x = np.mgrid[0:96, 0:96]
    light = np.full((96, 96, 3), 0.2)
    guides = np.full((96, 96, 3), 0.3, np.float32)
    if kind == "lamp":
        light[40:43, 30:33] = 300
    elif kind == "lamp of one pixel, shown by a guide":
        light[40, 30] = 300
        guides[40, 30] = 1
    elif kind == "highlight":
        light += 40 * np.exp(-((y - 40) ** 2 + (x - 50) ** 2) / 2)[..., None]
    elif kind == "edge of a cable":
        light[np.arange(20, 60), np.arange(20, 60)] = 60
    else:
        light *= 0.1
        for _ in range(25):
            at = random.random(2) * 96
            size = 2 + 50 * random.random()
            light += size * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 0.72)[..., None]
    return light, guides + random.normal(0, 0.01, guides.shape).astype(np.float32)


@pytest.mark.parametrize(
    "kind", ["lamp", "lamp of one pixel, shown by a guide", "highlight", "edge of a cable", "stars"]
)
@given(seeds, st.sampled_from([32.0, 256.0]))
@settings(max_examples=6)
def test_small_real_lights_stay(kind: str, seed: int, spp: float) -> None:
    light, guides = small_lights(kind, np.random.default_rng(seed))
    light = scenes.noisy(light, seed, spp).astype(np.float32)
    given, _ = repair.prepared(light, Rule(), guides)
    assert abs(given.mean() / light.mean() - 1) < 0.02


@few
@given(
    routes(),
    arrays.arrays(
        np.float32,
        (20, 28, 3),
        elements=st.floats(-65504, 65504, width=32) | st.sampled_from([np.nan, np.inf, -np.inf]),
        fill=st.floats(0, 4, width=32),
    ),
)
def test_finite_and_within_the_range_around(
    tmp_path: Path, models: dict[str, Model], route: dict[str, object], light: np.ndarray
) -> None:
    result, _ = restored(tmp_path, light, route, models)
    assert np.isfinite(result).all()
    finite = light[np.isfinite(light)].astype(route["dtype"]).astype(np.float64)
    assert result.max() <= max(finite.max(initial=0), 0)
    assert result.min() >= min(finite.min(initial=0), 0)


def test_no_result_leaves_the_neighbourhood() -> None:
    random = np.random.default_rng(0)
    light = random.random((70, 50, 3)).astype(np.float32)
    light[:, 30:] += 5
    result = repair.within(light + random.normal(0, 9, light.shape).astype(np.float32), light)
    for y, x in [(0, 0), (69, 49), (35, 25), (12, 31), (40, 10)]:
        rows, columns = slice(max(0, y - 16), y + 17), slice(max(0, x - 16), x + 17)
        around = light[rows, columns].reshape(-1, 3)
        assert np.all(result[y, x] >= around.min(0))
        assert np.all(result[y, x] <= around.max(0))
    assert result[:, :14].max() <= 1
    assert np.array_equal(repair.within(np.full_like(light, np.nan), light), light)


@few
@given(seeds, routes(), st.sampled_from([1e-3, 1.0, 65504.0, 1e30]))
def test_light_is_kept(
    tmp_path: Path, models: dict[str, Model], seed: int, route: dict[str, object], scale: float
) -> None:
    """Within three standard errors of the noise; in halves up to their end, and beyond."""
    light = noisy(seed, 16) / noisy(seed, 16).max() * scale
    if route["dtype"] == np.float16:
        light = np.minimum(light, 65504)
    result, odd = restored(tmp_path, light, route, models)
    assert np.isfinite(result).all()
    noise = (light - light.mean() * scenes.truth() / scenes.truth().mean()).std((0, 1))
    off = np.abs(result.mean((0, 1)) - light.mean((0, 1), dtype=np.float64))
    assert np.all(off < 3 * noise / np.sqrt(HEIGHT * WIDTH) + 0.01 * light.mean())
    assert not odd["fireflies"]


@few
@given(routes(), st.sampled_from([0.0, 0.37, 100.0]), st.integers(0, 2))
def test_what_is_constant_stays(
    tmp_path: Path, models: dict[str, Model], route: dict[str, object], value: float, channel: int
) -> None:
    light = noisy(1)
    light[..., channel] = value
    stored = light.astype(route["dtype"]).astype(np.float64)
    result, _ = restored(tmp_path, light, route, models)
    assert np.array_equal(result[..., channel], stored[..., channel])
    assert not np.array_equal(result, stored)


def test_all_layers_and_sums(tmp_path: Path) -> None:
    """By --layer auto and by --keep-sums: no dots and no glow, and all else stays."""
    path = scenes.scene(tmp_path / "in.exr")
    file = exr.read(path)
    planes = {key: plane.copy() for key, plane in file.parts[0].items()}
    random = np.random.default_rng(0)
    for at in random.integers(2, 38, (6, 2)):
        for letter in "RGB":
            planes[f"RGBA_key.{letter}"][tuple(at)] = 2000
    for letter in "RGB":
        key = planes[f"RGBA_key.{letter}"]
        key[random.random(key.shape) < 0.02] = -0.3
        planes[letter] = key + planes[f"RGBA_fill.{letter}"]
    window = file.headers.parts[0].data_window
    head = samples.header(dataWindow=samples.box(window))
    spoilt = samples.write(tmp_path / "spoilt.exr", (head, planes))
    for name, more in (("sums", {"keep_sums": True}), ("auto", {"layers": ("auto",)})):
        target = tmp_path / f"{name}.exr"
        result = denoise(spoilt, target, model="render", **more)
        assert result.outcomes[0].details["odd_samples"]["fireflies"] == 12
        lights = {f"RGBA_{each}.{letter}" for each in ("key", "fill") for letter in "RGB"}
        assert changed(spoilt, target) == lights | set("RGB")
        part = exr.read(target).parts[0]
        for key in lights | set("RGB"):
            assert part[key].min() >= 0
            assert part[key].max() < 5
        off = np.sqrt(np.mean((beauty(target) - scenes.truth()) ** 2))
        assert off < 0.5 * np.sqrt(np.mean((beauty(path) - scenes.truth()) ** 2))
    part = exr.read(tmp_path / "sums.exr").parts[0]
    np.testing.assert_allclose(
        beauty(tmp_path / "sums.exr"), scenes.sum_of(part), rtol=2**-10, atol=1e-6
    )


def of(prefix: str, letters: str = "RGB") -> list[str]:
    return [prefix + letter for letter in letters]


HALF = np.ones((24, 40), np.float16)


def guides_of(tmp_path: Path, *parts: tuple[dict[str, object], list[str]]) -> dict[str, set[str]]:
    """By layer of light (its part before it): the guides that it gets."""
    made = [(samples.header(**more), dict.fromkeys(names, HALF)) for more, names in parts]
    file = exr.read(samples.write(tmp_path / "a.exr", *made))
    found = lay.layers(file)
    return {
        f"{layer.part} {layer.name}": {
            f"{guide.part} {guide.name}"
            for role in ("albedo", "normal", "depth")
            if (guide := lay.guide(found, role, layer)) is not None
        }
        for layer in found
        if layer.role in ("beauty", "light")
    }


LEFT = [*"RGB", *of("albedo."), *of("N.", "XYZ"), "Z"]
STEREO = {"multiView": ["left", "right"]}


@pytest.mark.parametrize("more", [STEREO, {}])
def test_an_eye_without_guides_gets_none(tmp_path: Path, more: dict[str, object]) -> None:
    found = guides_of(tmp_path, (more, [*LEFT, *of("right."), *of("right.diffuse.")]))
    assert found == {
        "0 rgb": {"0 albedo", "0 N", "0 Z"},
        "0 right": set(),
        "0 right.diffuse": set(),
    }


@pytest.mark.parametrize(("before", "after"), [("right.", ""), ("", "right.")])
def test_an_eye_gets_its_own_guides(tmp_path: Path, before: str, after: str) -> None:
    own = [*of("right."), *of(f"{before}albedo.{after}"), *of(f"{before}diffuse.{after}")]
    found = guides_of(tmp_path, (STEREO, [*LEFT, *of("diffuse."), *own]))
    name = f"0 {before}albedo.{after}".removesuffix(".")
    light = f"0 {before}diffuse.{after}".removesuffix(".")
    assert found["0 right"] == found[light] == {name}
    assert found["0 rgb"] == found["0 diffuse"] == {"0 albedo", "0 N", "0 Z"}


def test_views_in_parts(tmp_path: Path) -> None:
    left, right = {"view": "left"}, {"view": "right"}
    found = guides_of(tmp_path, (left, LEFT), (right, [*"RGB"]), (right, of("diffuse.")))
    assert found == {"0 p0": {"0 albedo", "0 N", "0 p0.Z"}, "1 p1": set(), "2 diffuse": set()}
    apart = (left, [*"RGB"]), (left, of("albedo.")), (right, [*"RGB"]), (right, of("N.", "XYZ"))
    assert guides_of(tmp_path, *apart) == {"0 p0": {"1 albedo"}, "2 p2": {"3 N"}}


def test_parts_and_view_layers_keep_their_guides(tmp_path: Path) -> None:
    """Another picture's guides are none; a part, or a group, of guides alone serves the light."""
    assert guides_of(tmp_path, ({}, LEFT), ({}, [*"RGB"]))["1 p1"] == set()
    served = guides_of(tmp_path, ({}, [*"RGB"]), ({}, of("diffuse.")), ({}, of("albedo.")))
    assert served == {"0 p0": {"2 albedo"}, "1 diffuse": {"2 albedo"}}
    names = [*of("A.Combined."), *of("A.DiffDir."), *of("A.Denoising Albedo."), *of("B.Combined.")]
    assert guides_of(tmp_path, ({}, names)) == {
        "0 A.Combined": {"0 A.Denoising Albedo"},
        "0 A.DiffDir": {"0 A.Denoising Albedo"},
        "0 B.Combined": set(),
    }
    deep = [*"RGB", *of("diffuse.direct."), *of("aov.albedo."), *of("N.", "XYZ")]
    assert set(map(frozenset, guides_of(tmp_path, ({}, deep)).values())) == {
        frozenset({"0 aov.albedo", "0 N"})
    }


def test_no_ghosts_of_the_other_eye(tmp_path: Path) -> None:
    """The right eye comes out the same whatever the left one's guides are; a line names it."""
    results = []
    for shift in (0.0, 9.0):
        planes = scenes.planes("", noisy(1)) | scenes.planes("right.", noisy(2))
        planes |= scenes.planes("albedo.", scenes.albedo(shift))
        path = scenes.file(tmp_path / "in.exr", planes, **STEREO)
        told = denoise(path, tmp_path / "out.exr", model="render").outcomes[0].details["summary"]
        assert str(told[0]).startswith("right: no albedo or normal")
        results.append(exr.read(tmp_path / "out.exr").parts[0])
    one, two = results
    assert all(np.array_equal(one[f"right.{key}"], two[f"right.{key}"]) for key in "RGB")
    assert any(not np.array_equal(one[key], two[key]) for key in "RGB")


def test_a_named_guide_is_that_eyes_own(tmp_path: Path) -> None:
    planes = scenes.planes("", noisy(1)) | scenes.planes("right.", noisy(2))
    planes |= scenes.planes("albedo.", scenes.albedo())
    planes |= scenes.planes("right.albedo.", scenes.albedo(3))
    file = exr.read(scenes.file(tmp_path / "in.exr", planes, **STEREO))
    for name in ("albedo", str(tmp_path / "in.exr")):
        guides = frame.plan(file, RenderOptions(albedo=name)).guides
        names = {layer.name: [source.layer.name for source in guides[layer]] for layer in guides}
        assert names == {"rgb": ["albedo"], "right": ["right.albedo"]}
