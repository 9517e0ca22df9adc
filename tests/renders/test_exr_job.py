"""Renders through the task: what is denoised, and that nothing else changes."""

from pathlib import Path

import numpy as np
import pytest

from mdn import io
from mdn.commands.denoise import run
from mdn.io import exr
from mdn.io.exr import layers
from mdn.jobs.job import BatchResult
from mdn.jobs.planning import plan
from mdn.renders import RenderOptions, light_sums
from tests.commands.tools import request
from tests.io.exr import samples
from tests.jobs.test_running import Recorder
from tests.renders import scenes


def denoise(
    source: Path, target: Path, report: Recorder | None = None, **options: object
) -> BatchResult:
    settings: dict[str, object] = {
        key: options.pop(key) for key in ("strength", "model") if key in options
    }
    jobs = plan([str(source)], str(target), overwrite=True).jobs
    asked = RenderOptions(**options)
    everything = {"model": "unittest"} | settings
    return run(jobs, request(renders=asked, **everything), report or Recorder())


def beauty(path: Path) -> np.ndarray:
    part = exr.read(path).parts[0]
    return np.stack([part[key] for key in "RGB"], -1).astype(np.float64)


def error(picture: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean((picture - truth) ** 2))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return scenes.scene(tmp_path / "in.exr")


def changed(first: Path, second: Path) -> set[str]:
    """The channels that differ; everything else about the files must not."""
    one, two = exr.read(first), exr.read(second)
    assert [p.attributes for p in one.headers.parts] == [p.attributes for p in two.headers.parts]
    return {
        key
        for a, b in zip(one.parts, two.parts, strict=True)
        for key in a
        if a[key].tobytes() != b[key].tobytes()
    }


def test_the_beauty_and_nothing_else(scene: Path, tmp_path: Path) -> None:
    result = denoise(scene, tmp_path / "out.exr")
    assert (result.exit_code, changed(scene, tmp_path / "out.exr")) == (0, {"R", "G", "B"})
    fates = {row["layer"]: row["fate"] for row in result.outcomes[0].details["layers"]}
    assert (fates["rgb"], fates["albedo"]) == ("denoised, but alpha", "bit for bit, guides")
    assert fates["crypto_object00"] == "bit for bit"


def test_a_guide_out_of_another_file_is_explained(scene: Path, tmp_path: Path) -> None:
    other = scenes.scene(tmp_path / "other.exr")
    result = denoise(scene, tmp_path / "out.exr", albedo=str(other), explain=True)
    details = result.outcomes[0].details
    rows = [row for row in details["layers"] if "file" in row]
    assert [(row["role"], row["fate"]) for row in rows] == [("albedo", f"guides, of {other}")]
    assert any(f"guides, of {other}" in line for line in details["summary"])


def test_strength_0_is_the_file(scene: Path, tmp_path: Path) -> None:
    denoise(scene, tmp_path / "out.exr", strength=0.0)
    assert changed(scene, tmp_path / "out.exr") == set()


def test_it_is_cleaner_and_guides_help(scene: Path, tmp_path: Path) -> None:
    result = denoise(scene, tmp_path / "guided.exr", model="render")
    assert "summary" not in result.outcomes[0].details
    denoise(scene, tmp_path / "alone.exr", model="render", albedo="none", normal="none")
    noisy, guided, alone = (
        error(beauty(path), scenes.truth())
        for path in (scene, tmp_path / "guided.exr", tmp_path / "alone.exr")
    )
    assert guided < 0.35 * noisy
    assert guided < 0.9 * alone


def test_layers_by_name_and_auto(scene: Path, tmp_path: Path) -> None:
    denoise(scene, tmp_path / "a.exr", layers=("rgba_KEY", "RGBA_fill"))
    lights = {f"RGBA_{name}.{letter}" for name in ("key", "fill") for letter in "RGB"}
    assert changed(scene, tmp_path / "a.exr") == lights
    denoise(scene, tmp_path / "b.exr", layers=("auto",))
    assert changed(scene, tmp_path / "b.exr") == lights | set("RGB")


def test_kept_layers_stay_bit_for_bit(scene: Path, tmp_path: Path) -> None:
    denoise(scene, tmp_path / "a.exr", layers=("auto",), keep=("rgba_key",))
    assert changed(scene, tmp_path / "a.exr") == {f"RGBA_fill.{c}" for c in "RGB"} | set("RGB")
    denoise(scene, tmp_path / "b.exr", keep_sums=True, keep=("RGBA_key",))
    assert changed(scene, tmp_path / "b.exr") == set("RGB")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"keep": ("nosuch",)}, "has no layer nosuch"),
        ({"keep": ("rgb",)}, "leaves nothing to denoise"),
        ({"layers": ("nosuch",)}, "has no layer nosuch"),
        ({"layers": ("id",)}, "ids"),
        ({"layers": ("crypto_object00",)}, ""),
    ],
)
def test_layers_that_cannot_be(scene: Path, tmp_path: Path, options: dict, told: str) -> None:
    result = denoise(scene, tmp_path / "a.exr", **options)
    assert (result.exit_code, told in result.outcomes[0].error) == (4, True)
    assert not (tmp_path / "a.exr").exists()


def test_many_lights_that_add_up_are_found_and_it_is_said_where_none_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(light_sums, "MOST", 4)
    parts = [scenes.noisy(scenes.truth() / 6, seed) for seed in range(6)]
    planes: dict[str, np.ndarray] = {}
    for number, part in enumerate(parts):
        planes |= scenes.planes(f"light{number}.", part)
    for factor, terms in ((1.0, [6]), (1.5, [])):
        planes |= scenes.planes("", factor * np.sum(parts, 0))
        file = exr.read(scenes.file(tmp_path / "in.exr", planes))
        found = light_sums.find(file, layers.layers(file))
        assert [len(each.terms) for each in found] == terms
    report = Recorder()
    denoise(tmp_path / "in.exr", tmp_path / "out.exr", report=report, keep_sums=True)
    assert "no layers were found that add up" in str(report.events)


def test_sums_are_kept(scene: Path, tmp_path: Path) -> None:
    result = denoise(scene, tmp_path / "a.exr", keep_sums=True)
    assert result.outcomes[0].details["sums"] == [["RGBA_fill", "RGBA_key"]]
    part = exr.read(tmp_path / "a.exr").parts[0]
    whole, added = beauty(tmp_path / "a.exr"), scenes.sum_of(part)
    np.testing.assert_allclose(whole, added, rtol=2**-11, atol=1e-7)
    without = tmp_path / "b.exr"
    denoise(scene, without, layers=("auto",))
    loose = np.abs(beauty(without) - scenes.sum_of(exr.read(without).parts[0])).max()
    assert loose > 10 * np.abs(whole - added).max()  # so it is --keep-sums that keeps them
    assert error(whole, beauty(without)) < 1e-4


def test_odd_samples_are_repaired_and_counted(tmp_path: Path) -> None:
    picture = scenes.noisy(scenes.truth(), 1).astype(np.float32)
    picture[3, 4] = np.nan
    picture[5, 6, 1] = np.inf
    picture[7, 8] = -0.25
    planes = {key: picture[..., at].copy() for at, key in enumerate("RGB")}
    path = scenes.file(tmp_path / "in.exr", planes)
    details = denoise(path, tmp_path / "out.exr").outcomes[0].details
    assert details["odd_samples"] == {"nan": 3, "infinite": 1, "negative": 3}
    assert np.isfinite(beauty(tmp_path / "out.exr")).all()
    denoise(path, tmp_path / "same.exr", strength=0.0)
    assert changed(path, tmp_path / "same.exr") == set()


def test_bright_light_is_not_clipped(tmp_path: Path) -> None:
    light = np.full((*scenes.SHAPE, 3), 0.2, np.float32)
    light[:, 28:] = 40.0
    path = scenes.file(tmp_path / "in.exr", {key: light[..., 0].copy() for key in "RGB"})
    denoise(path, tmp_path / "out.exr", model="photo")
    result = beauty(tmp_path / "out.exr")
    np.testing.assert_allclose(result[:, 34:].mean(), 40, rtol=0.02)
    denoise(path, tmp_path / "srgb.exr", model="photo", tonemap="srgb")
    assert beauty(tmp_path / "srgb.exr").max() <= 1.0  # the protocol of papers does clip


def test_fireflies_are_clamped_unless_they_are_to_stay(tmp_path: Path) -> None:
    light = np.full((*scenes.SHAPE, 3), 0.2, np.float16)
    light[20, 20] = 3000.0
    planes = {key: light[..., 0].copy() for key in "RGB"}
    path = scenes.file(tmp_path / "in.exr", planes)
    for more in ({}, {"clamp_fireflies": 4.0}):
        report = Recorder()
        result = denoise(path, tmp_path / "out.exr", report, **more)
        assert result.outcomes[0].details["odd_samples"] == {"fireflies": 1}
        assert beauty(tmp_path / "out.exr").max() < 2
        assert "1 firefly clamped to the light around" in str(report.events)
    result = denoise(path, tmp_path / "out.exr", clamp_fireflies=0)
    assert result.outcomes[0].details["odd_samples"] == {}
    assert beauty(tmp_path / "out.exr").max() > 2


def test_nothing_appears_where_nothing_is(tmp_path: Path) -> None:
    light = scenes.noisy(scenes.truth(), 3).astype(np.float16)
    alpha = np.ones(scenes.SHAPE, np.float16)
    alpha[:, :20] = 0
    light[:, :20] = 0
    light[4, 4] = 0.5  # light without cover, such as a glow, is light
    planes = scenes.planes("", light) | {"A": alpha}
    path = scenes.file(tmp_path / "in.exr", planes)
    denoise(path, tmp_path / "out.exr")
    result = beauty(tmp_path / "out.exr")
    empty = (alpha == 0) & (light == 0).all(-1)
    assert np.all(result[empty] == 0)
    assert changed(path, tmp_path / "out.exr") == {"R", "G", "B"}


@pytest.mark.parametrize("light", [0.0, 1e-3])
def test_no_light_is_below_black(tmp_path: Path, light: float) -> None:
    """A frame faded to black stays black, and noise around black leaves no negative light."""
    noise = np.abs(np.random.default_rng(0).normal(0, light, (40, 56, 3))).astype(np.float16)
    path = scenes.file(tmp_path / "in.exr", scenes.planes("", noise))
    result = denoise(path, tmp_path / "out.exr", model="render")
    assert beauty(tmp_path / "out.exr").min() >= 0
    assert beauty(tmp_path / "out.exr").any() == bool(light)
    assert "colour alone" in str(result.outcomes[0].details["summary"])


def test_a_guide_from_another_file(scene: Path, tmp_path: Path) -> None:
    bare = scenes.planes("", beauty(scene))
    window = exr.read(scene).headers.parts[0].data_window
    head = samples.header(dataWindow=samples.box(window))
    path = samples.write(tmp_path / "bare.exr", (head, bare))
    denoise(path, tmp_path / "a.exr")
    denoise(path, tmp_path / "b.exr", albedo=str(scene))
    assert changed(tmp_path / "a.exr", tmp_path / "b.exr") == {"R", "G", "B"}
    small = samples.write(tmp_path / "small.exr", (samples.header(), samples.channels()))
    result = denoise(path, tmp_path / "c.exr", albedo=str(small))
    assert "does not cover the same pixels" in result.outcomes[0].error


def test_a_render_as_a_picture(scene: Path, tmp_path: Path) -> None:
    result = denoise(scene, tmp_path / "out.png")
    assert result.exit_code == 0
    image = io.read_image(tmp_path / "out.png")
    assert image.pixels.shape == (1, *scenes.SHAPE, 3)
    part = exr.read(scene).parts[0]
    assert np.array_equal(image.alpha[0] > 0, part["A"] > 0)


def test_tiles_do_not_show(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    denoise(scene, tmp_path / "whole.exr")
    monkeypatch.setattr("mdn.pipeline.linear.BAND", 8)
    denoise(scene, tmp_path / "bands.exr")
    np.testing.assert_allclose(
        beauty(tmp_path / "whole.exr"), beauty(tmp_path / "bands.exr"), rtol=2e-3, atol=1e-6
    )


def test_a_picture_does_not_become_a_render(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    io.write_image(io.Image(np.zeros((1, 8, 8, 3), np.uint8)), path)
    result = denoise(path, tmp_path / "a.exr")
    assert "is for renders" in result.outcomes[0].error


def test_a_file_without_beauty(tmp_path: Path) -> None:
    planes = {key: plane for key, plane in samples.channels().items() if key in ("id", "depth.Z")}
    path = samples.write(tmp_path / "in.exr", (samples.header(), planes))
    result = denoise(path, tmp_path / "out.exr")
    assert "has no beauty layer; name a layer with --layer: depth.Z, id" in result.outcomes[0].error
    assert denoise(path, tmp_path / "out.exr", strength=0.0).exit_code == 0
    assert changed(path, tmp_path / "out.exr") == set()


def test_openexrs_own_pictures_with_strength_0(shared_data: Path, tmp_path: Path) -> None:
    done = 0
    for path in sorted((shared_data / "test" / "exr").glob("*.exr")):
        outcome = denoise(path, tmp_path / path.name, strength=0.0).outcomes[0]
        if outcome.status == "ok":
            done += 1
            assert changed(path, tmp_path / path.name) == set()
    assert done == 19


@pytest.mark.parametrize("denoised", [False, True])
def test_of_combined_and_noisy_image_one_is_denoised(tmp_path: Path, denoised: bool) -> None:
    truth = scenes.truth()
    noisy = scenes.noisy(truth, 1)
    planes = scenes.planes("ViewLayer.Combined.", truth if denoised else noisy)
    planes |= scenes.planes("ViewLayer.Noisy Image.", noisy)
    source = scenes.file(tmp_path / "in.exr", planes)
    for names in ((), ("auto",)):
        target = tmp_path / f"{len(names)}.exr"
        report = Recorder()
        denoise(source, target, report, layers=names)
        name = "Noisy Image" if denoised else "Combined"
        assert changed(source, target) == {f"ViewLayer.{name}.{letter}" for letter in "RGB"}
        assert ("without noise already" if denoised else "once more") in str(report.events)
    denoise(source, tmp_path / "both.exr", layers=("Combined", "Noisy Image"))
    assert len(changed(source, tmp_path / "both.exr")) == 6


def test_each_view_layer_has_guides_and_exposure_of_its_own(tmp_path: Path) -> None:
    """What is denoised of one hangs on nothing of the other."""
    light = {
        "Dark": 0.01 * scenes.noisy(scenes.truth(), 1),
        "Bright": scenes.noisy(scenes.truth(9), 2),
    }
    colour = {"Dark": scenes.albedo(), "Bright": scenes.albedo(9)}
    planes: dict[str, dict[str, np.ndarray]] = {}
    for name in light:
        planes[name] = scenes.planes(f"{name}.Combined.", 30 * light[name])
        planes[name] |= scenes.planes(f"{name}.Denoising Albedo.", colour[name])
        scenes.file(tmp_path / f"{name}.exr", planes[name])
        denoise(tmp_path / f"{name}.exr", tmp_path / f"{name}_out.exr")
    both = scenes.file(tmp_path / "both.exr", planes["Dark"] | planes["Bright"])
    result = denoise(both, tmp_path / "both_out.exr")
    exposures = result.outcomes[0].details["exposures"]
    assert exposures["Dark"] > 50 * exposures["Bright"]
    together = exr.read(tmp_path / "both_out.exr").parts[0]
    for name in light:
        alone = exr.read(tmp_path / f"{name}_out.exr").parts[0]
        for key, values in alone.items():
            assert np.array_equal(values, together[key]), key


@pytest.mark.parametrize("view", ["", "left"])
def test_lights_of_cycles_times_their_colours_add_up(tmp_path: Path, view: str) -> None:
    """As Blender names them: light without the colour of what it falls on, and the colour."""
    truth, eye = scenes.truth(), f".{view}" if view else ""
    y, x = np.mgrid[: truth.shape[0], : truth.shape[1]]
    colours = {
        "Diff": np.stack([0.2 + 0.6 * (x > 28), 0.5 + 0 * x, 0.3 + 0.2 * (y > 20)], -1),
        "Gloss": np.broadcast_to(np.float32(0.04), truth.shape),
    }
    lights = {
        "DiffDir": scenes.noisy(truth / 2, 1),
        "DiffInd": scenes.noisy(truth / 4, 2),
        "GlossDir": scenes.noisy(truth / 3, 3),
        "Emit": (truth > truth.max() / 2) * np.float32(2),
    }
    lights, colours = (
        {name: values.astype(np.float16) for name, values in group.items()}
        for group in (lights, colours)
    )

    def whole(planes: dict[str, np.ndarray]) -> np.ndarray:
        layer = lambda name: np.stack(  # noqa: E731
            [planes[f"ViewLayer.{name}{eye}.{c}"].astype(np.float64) for c in "RGB"], -1
        )
        diffuse = (layer("DiffDir") + layer("DiffInd")) * layer("DiffCol")
        return diffuse + layer("GlossDir") * layer("GlossCol") + layer("Emit")

    planes: dict[str, np.ndarray] = {}
    for name, values in (
        lights | {f"{kind}Col": colour for kind, colour in colours.items()}
    ).items():
        planes |= scenes.planes(f"ViewLayer.{name}{eye}.", values)
    planes |= scenes.planes(f"ViewLayer.Combined{eye}.", whole(planes).astype(np.float32))
    if view:  # the other eye sees less: none of its lights may be taken for this one's
        planes |= {key.replace(view, "right"): 0.7 * plane for key, plane in planes.items()}
    source = scenes.file(tmp_path / "in.exr", planes)
    result = denoise(source, tmp_path / "a.exr", keep_sums=True)
    names = result.outcomes[0].details["sums"][0]
    assert set(names) == {
        f"ViewLayer.DiffDir{eye} x ViewLayer.DiffCol{eye}",
        f"ViewLayer.DiffInd{eye} x ViewLayer.DiffCol{eye}",
        f"ViewLayer.GlossDir{eye} x ViewLayer.GlossCol{eye}",
        f"ViewLayer.Emit{eye}",
    }
    part = exr.read(tmp_path / "a.exr").parts[0]
    beauty_of = lambda planes: np.stack(  # noqa: E731
        [planes[f"ViewLayer.Combined{eye}.{c}"].astype(np.float64) for c in "RGB"], -1
    )
    np.testing.assert_allclose(beauty_of(part), whole(part), rtol=2**-9, atol=1e-4)
    for kind in colours:
        for letter in "RGB":
            key = f"ViewLayer.{kind}Col{eye}.{letter}"
            assert np.array_equal(part[key], planes[key])
    denoise(source, tmp_path / "b.exr")
    alone = beauty_of(exr.read(tmp_path / "b.exr").parts[0])
    noise = np.abs(beauty_of(planes) - alone).mean()
    assert np.abs(beauty_of(part) - alone).mean() < 0.2 * noise  # no light leaves its range
