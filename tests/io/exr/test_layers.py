"""Layers and their roles, by the names that renderers write."""

from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from mdn.io import exr
from mdn.io.exr import layers as lay
from tests.io.exr import samples

HALF = np.ones((24, 40), np.float16)


def roles(tmp_path: Path, *names: str) -> dict[str, str]:
    planes = dict.fromkeys(names, HALF)
    path = samples.write(tmp_path / "a.exr", (samples.header(), planes))
    return {layer.name: layer.role for layer in lay.layers(exr.read(path))}


def of(prefix: str, letters: str) -> list[str]:
    return [f"{prefix}.{letter}" for letter in letters]


RENDERERS = {
    "Arnold": {
        "RGBA": "beauty", "RGBA_key.RGBA": "light", "albedo.RGB": "albedo", "N.XYZ": "normal",
        "Z": "depth", "motionvector.XYZ": "motion", "crypto_object00.RGBA": "cryptomatte",
        "specular.RGB": "light",
    },
    "Cycles": {
        "V.Combined.RGBA": "beauty", "V.Denoising Albedo.RGB": "albedo",
        "V.Denoising Normal.XYZ": "normal", "V.Vector.XYZW": "motion", "V.Depth.Z.": "depth",
        "V.CryptoObject00.rgba": "cryptomatte", "V.IndexOB.X.": "id", "V.DiffCol.RGB": "albedo",
        "V.GlossDir.RGB": "light", "V.AO.RGB": "data",
    },
    "RenderMan": {
        "Ci.rgb": "beauty", "a": "alpha", "albedo.rgb": "albedo", "albedo_var.rgb": "variance",
        "z": "depth", "z_var": "data", "mse.rgb": "variance", "diffuse_mse.rgb": "variance",
        "sampleCount": "data", "diffuse.rgb": "light",
    },
}  # fmt: skip


@pytest.mark.parametrize("renderer", RENDERERS)
def test_renderers(tmp_path: Path, renderer: str) -> None:
    """Layers as they are named, the letters of their channels behind a point, or alone."""
    names, expected = [], {}
    for told, role in RENDERERS[renderer].items():
        layer, point, letters = told.rpartition(".")
        alone = not point or not letters
        layer = layer or ("rgb" if told == "RGBA" else told)
        names += list("RGBA") if told == "RGBA" else [layer] if alone else of(layer, letters)
        expected[layer] = role
    assert roles(tmp_path, *names) == expected


def test_nuke_spells_colours_out(tmp_path: Path) -> None:
    letters = ("red", "green", "blue", "alpha")
    names = [f"{layer}.{letter}" for layer in ("rgba", "diffuse", "N") for letter in letters]
    path = samples.write(tmp_path / "a.exr", (samples.header(), dict.fromkeys(names, HALF)))
    found = {layer.name: layer for layer in lay.layers(exr.read(path))}
    told = {name: layer.role for name, layer in found.items()}
    assert told == {"rgba": "beauty", "diffuse": "light", "N": "normal"}
    assert found["diffuse"].channels == ("diffuse.red", "diffuse.green", "diffuse.blue")
    assert found["diffuse"].alpha == "diffuse.alpha"


@pytest.mark.parametrize(
    ("name", "letters", "role"),
    [
        ("VRayDiffuseFilter", "RGB", "albedo"),
        ("VRayNoiseLevel", "RGB", "data"),
        ("FinalImageBaseColor", "RGB", "albedo"),
        ("Opacity", "RGB", "data"),
        ("volume_Z", "RGB", "depth"),
        ("normals", "XYZ", "normal"),
        ("bumpNormals", "XYZ", "normal"),
        ("velocity", "XYZ", "motion"),
        ("sh_normal", "XYZ", "normal"),
        ("position", "XYZ", "position"),
        ("Albedo", "RGB", "albedo"),
        ("Ns", "XYZ", "normal"),
        ("P", "XYZ", "position"),
        ("Variance", "RGB", "variance"),
        ("C", "rgb", "beauty"),
        ("basecolor", "rgb", "albedo"),
        ("indirectdiffuse", "rgb", "light"),
        ("MultiMatte", "RGB", "id"),
    ],
)
def test_others(tmp_path: Path, name: str, letters: str, role: str) -> None:
    assert roles(tmp_path, *of(name, letters)) == {name: role}


def test_the_keys_of_openexrs_own_binding(tmp_path: Path) -> None:
    colour, four = np.ones((24, 40, 3), np.float32), np.ones((24, 40, 4), np.float32)
    keys = {"RGBA": four, "albedo.RGB": colour, "N.XYZ": colour, "crypto00.RGBA": four}
    keys |= {"mask.RGB": colour, "diffuse.RGB": colour, "depth": colour[..., 0].copy()}
    with OpenEXR.File(samples.header(), keys) as file:
        file.write(str(tmp_path / "a.exr"))
    found = lay.layers(exr.read(tmp_path / "a.exr"))
    assert {layer.name: layer.role for layer in found} == {
        "rgb": "beauty",
        "albedo.RGB": "albedo",
        "N.XYZ": "normal",
        "crypto00.RGBA": "cryptomatte",
        "mask.RGB": "id",
        "diffuse.RGB": "light",
        "depth": "depth",
    }
    assert [layer.name for layer in lay.beauty(found)] == ["rgb"]
    assert [layer.name for layer in lay.find(found, "Albedo")] == ["albedo.RGB"]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("object_id.RGB", "id"),
        ("materialID", "id"),
        ("crypto00.foo.RGBA", "cryptomatte"),
        ("sceneDepth.Combined", "depth"),
        ("car_matte.beauty", "id"),
        ("hair-mask.RGB", "id"),
        ("shading_normal.left.RGB", "normal"),
        ("worldPos.RGBA", "position"),
        ("motion_screen.RGB", "motion"),
        # Words that only hold the letters of one.
        ("solid", "light"),
        ("grid.RGB", "light"),
        ("emotion", "light"),
        ("composition.RGBA", "light"),
        ("beauty.RGBA", "beauty"),
    ],
)
def test_a_name_that_says_data_is_no_light_whatever_its_suffix(name: str, role: str) -> None:
    assert lay.role_of(name, ("R", "G", "B")) == role


def test_every_channel_is_in_one_layer(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "a.exr", (samples.header(), samples.channels()))
    file = exr.read(path)
    held = [
        key for layer in lay.layers(file) for key in (*layer.channels, *filter(None, [layer.alpha]))
    ]
    assert sorted(held) == sorted(file.parts[0])


def test_a_part_gives_its_name_to_plain_channels(tmp_path: Path) -> None:
    plain = dict.fromkeys("RGB", HALF)
    path = samples.write(
        tmp_path / "a.exr", (samples.header(), plain), (samples.header(), {"Z": HALF, **plain})
    )
    found = lay.layers(exr.read(path))
    assert [(layer.name, layer.part) for layer in found] == [("p0", 0), ("p1", 1), ("p1.Z", 1)]
    assert lay.find(found, "P1")[0].part == 1


@pytest.mark.parametrize(
    ("best", "other"), [("Denoising Albedo", "DiffCol"), ("diffuse_albedo", "coat_albedo")]
)
def test_the_better_guide_goes_first(tmp_path: Path, best: str, other: str) -> None:
    names = [f"V.{name}.{letter}" for name in (other, best, "Combined") for letter in "RGB"]
    path = samples.write(tmp_path / "a.exr", (samples.header(), dict.fromkeys(names, HALF)))
    found = lay.layers(exr.read(path))
    guide = lay.guide(found, "albedo", lay.beauty(found)[0])
    assert guide.name == f"V.{best}"


def test_both_eyes_of_a_stereo_file_are_beauty(tmp_path: Path) -> None:
    names = [*"RGB", *of("left", "RGB"), *of("left.diffuse", "RGB")]
    head = samples.header(multiView=["right", "left"])
    path = samples.write(tmp_path / "a.exr", (head, dict.fromkeys(names, HALF)))
    found = {layer.name: layer.role for layer in lay.layers(exr.read(path))}
    assert found == {"rgb": "beauty", "left": "beauty", "left.diffuse": "light"}
    plain = dict.fromkeys("RGB", HALF)
    eyes = [(samples.header(view=view), plain) for view in ("right", "left")]
    parts = lay.layers(exr.read(samples.write(tmp_path / "b.exr", *eyes)))
    assert len(lay.beauty(parts)) == 1  # parts called p0 and p1 say nothing: the first alone


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("mist", ["V.Mist.Z"]),
        ("V.Mist", ["V.Mist.Z"]),
        ("Z", ["Z"]),
        ("V", []),
        ("albedo", ["albedo.RGB"]),
    ],
)
def test_layers_are_found_by_the_name_that_people_use(
    tmp_path: Path, asked: str, found: list[str]
) -> None:
    names = ["V.Mist.Z", "Z", *of("V.Combined", "RGB"), *of("albedo.RGB", "RGB")]
    path = samples.write(tmp_path / "a.exr", (samples.header(), dict.fromkeys(names, HALF)))
    assert [each.name for each in lay.find(lay.layers(exr.read(path)), asked)] == found
