"""`mdn noise` from end to end."""

import json
from pathlib import Path

import numpy as np
import pytest

from mdn import io
from mdn.noise import NOISES
from tests.cli.cli_tools import Make, Run


def pixels(path: Path) -> np.ndarray:
    return io.read_image(path).pixels


def test_a_photo_gets_noise_of_the_level(run: Run, make: Make, tmp_path: Path) -> None:
    clean = make("a.png", np.uint16, side=64)
    result = run("noise", "a.png", "--type", "gaussian", "--level", "5")
    assert result.exit_code == 0, result.stderr
    noisy = tmp_path / "a_gaussian5.png"
    inside = np.abs(pixels(clean).astype(int) - 32768) < 25000  # away from the clipping
    error = (pixels(noisy).astype(int) - pixels(clean))[inside] / 65535 * 255
    assert error.std() == pytest.approx(5, rel=0.05)


def test_a_seed_repeats_and_another_does_not(run: Run, make: Make, tmp_path: Path) -> None:
    make("a.png")
    for output, seed in (("x.png", "7"), ("y.png", "7"), ("z.png", "8")):
        run("noise", "a.png", "-t", "gaussian", "--seed", seed, "-o", output)
    x, y, z = (pixels(tmp_path / name) for name in ("x.png", "y.png", "z.png"))
    assert np.array_equal(x, y)
    assert not np.array_equal(x, z)


def test_former_draws_in_a_folder_are_left_out(run: Run, make: Make) -> None:
    make("in/a.png")
    for _ in range(2):
        result = run("noise", "in", "-t", "gaussian", "--count", "2", "--overwrite", "--json")
        assert [f["input"] for f in json.loads(result.stdout)["files"]] == ["in/a.png"] * 2


def test_from_standard_input_to_standard_output(run: Run, make: Make) -> None:
    data = make("a.png").read_bytes()
    noisy = run("noise", "-", "--type", "gaussian", input=data)
    assert noisy.exit_code == 0, noisy.stderr
    assert io.read_image(noisy.stdout_bytes).pixels.shape == io.read_image(data).pixels.shape
    assert noisy.stdout_bytes != data


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_each_noise_explains_itself(run: Run, noise) -> None:
    result = run("noise", "--type", noise.name)
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    for part in (noise.title, noise.explanation, noise.parameter, noise.unit, noise.example):
        assert " ".join(part.split()) in text
    assert "published " + " ".join(f"{level:g}" for level in noise.levels) in text


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_each_example_works(run: Run, make: Make, noise) -> None:
    name = noise.example.split()[2]
    if Path(name).suffix not in io.SUFFIXES:
        pytest.skip(f"mdn does not read {Path(name).suffix}")
    make(name, side=64)
    result = run(*noise.example.split()[1:])
    assert result.exit_code == 0, result.stderr


def test_the_list_names_every_noise(run: Run) -> None:
    lines = run("noise", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [noise.name for noise in NOISES]
    listed = json.loads(run("noise", "--list", "--json").stdout)
    assert [entry["name"] for entry in listed] == [noise.name for noise in NOISES]
    one = json.loads(run("noise", "--type", "poisson", "--json").stdout)
    assert one["levels"] == [2, 2.5, 3, 3.5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.png"], "mdn noise --list"),
        ([], "mdn noise --list"),
        (["a.png", "--type", "gausian"], "gaussian"),
        (["--type", "gausian"], "gaussian"),
        (["a.png", "--type", "gaussian", "--level", "-3"], "-3"),
        (["a.png", "--type", "gaussian", "--level", "nan"], "nan"),
        (["-", "--type", "gaussian", "--count", "2"], "one image"),
    ],
)
def test_requests_that_cannot_be_met(
    run: Run, make: Make, tmp_path: Path, arguments: list[str], words: str
) -> None:
    make("a.png")
    result = run("noise", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("mdn: error: ")
    assert words in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("dtype", "own"), [(np.uint8, 256.0), (np.uint16, None)])
def test_photons_of_white_are_said_and_set(
    run: Run, make: Make, tmp_path: Path, dtype: type, own: float | None
) -> None:
    """The noise of photons hangs on their number, which is a guess of the picture's unless told."""
    make("a.png", dtype, side=64)
    words = ("noise", "a.png", "-t", "poisson", "--level", "1", "--json", "--overwrite", "-o")
    (usual,) = json.loads(run(*words, "b.png").stdout)["files"]
    assert usual["peak"] == own or (own is None and usual["peak"] > 4096)
    assert usual["summary"] == [f"white stands for {usual['peak']:g} photons; --peak N sets it"]
    (file,) = json.loads(run(*words, "c.png", "--peak", "50").stdout)["files"]
    assert file["peak"] == 50
    white = np.iinfo(dtype).max
    clean = pixels(tmp_path / "a.png")[0] / white
    error = pixels(tmp_path / "c.png")[0] / white - clean
    middle = (clean > 0.4) & (clean < 0.6)  # far from the ends of the range, which clip
    assert error[middle].std() == pytest.approx((clean[middle].mean() / 50) ** 0.5, rel=0.1)
