"""`mdn noise --estimate` from end to end."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from mdn import io
from mdn.image import Image
from mdn.pipeline.judge import estimate_noise
from tests.cli.cli_tools import Run


def picture(path: Path, sigma: float, gain: float = 0.0, dtype: type = np.uint8) -> Path:
    """A shaded picture with Gaussian noise; gain adds variance by brightness, all on 0..1."""
    white = float(np.iinfo(dtype).max)
    random = np.random.default_rng(1)
    across, down = np.meshgrid(np.linspace(0.15, 0.85, 128), np.linspace(0.8, 1, 128))
    clean = np.stack([across * down, 0.9 * across, 1 - across], -1)
    spread = np.sqrt((sigma / 255) ** 2 + gain * clean)
    noisy = clean + spread * random.standard_normal(clean.shape)
    pixels = np.rint(noisy.clip(0, 1) * white).astype(dtype)[None]
    io.write_image(Image(pixels), path)
    return path


def test_the_level_and_kind_in_words(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 12)
    before = (tmp_path / "a.png").read_bytes()
    result = run("noise", "--estimate", "a.png")
    assert result.exit_code == 0, result.stderr
    assert "128x128, uint8" in result.stdout
    assert "sigma 1" in result.stdout
    for words in ("equally strong at every brightness", "white", "no impulses", "#####"):
        assert words in result.stdout
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_json_has_every_channel_and_the_curve(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    picture(tmp_path / "in" / "a.png", 10, dtype=np.uint16)
    picture(tmp_path / "in" / "b.png", 2, gain=0.01)
    result = run("noise", "--estimate", "in", "--json")
    assert result.exit_code == 0, result.stderr
    steady, growing = json.loads(result.stdout)["files"]
    assert set(steady["sigma"]) == {"red", "green", "blue"}
    assert steady["level"] == pytest.approx(10, rel=0.25)
    assert steady["stored_level"] == pytest.approx(steady["level"] * 257)
    assert not steady["signal_dependent"]
    assert growing["variance"][-1] > growing["variance"][0]
    assert growing["level"] > 1.2 * steady["level"]
    assert len(growing["brightness"]) == len(growing["variance"]) > 3
    assert growing["kind"]


@pytest.mark.parametrize("side", [16, 20, 128])
def test_a_picture_of_one_gray_gives_valid_json(run: Run, tmp_path: Path, side: int) -> None:
    io.write_image(Image(np.full((1, side, side, 3), 100, np.uint8)), tmp_path / "a.png")
    result = run("noise", "--estimate", "a.png", "--json")
    assert result.exit_code == 0, result.stderr
    json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))


def test_banding_is_told_apart_from_what_remains(run: Run, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 6)
    pixels = io.read_image(path).pixels.astype(float)
    pixels += 9 * np.random.default_rng(2).standard_normal((128, 1, 1))
    io.write_image(Image(np.rint(pixels.clip(0, 255)).astype(np.uint8)), path)
    found = json.loads(run("noise", "--estimate", "a.png", "--json").stdout)["files"][0]
    assert found["banding"]["rows"] == pytest.approx(9, rel=0.25)
    assert (found["banding"]["columns"], found["level"]) == (0, pytest.approx(6, rel=0.4))
    assert "row banding of sigma" in found["kind"][-1]


def test_measurements_that_use_little_of_their_range(run: Run, tmp_path: Path) -> None:
    """Counts of a camera, 100 to some 900 of 65535: variance 2 x count."""
    random = np.random.default_rng(0)
    clean = np.linspace(100, 800, 200)[None].repeat(200, 0)
    noisy = 2 * random.poisson(clean / 2)
    io.write_image(Image(noisy[None, ..., None].astype(np.uint16)), tmp_path / "a.tif")
    result = run("noise", "--estimate", "a.tif", "--json")
    assert result.exit_code == 0, result.stderr
    (found,) = json.loads(result.stdout)["files"]
    low, high = found["range"]
    assert 0 <= low < 120
    assert 780 < high < 1000
    assert found["signal_dependent"]
    assert found["gain"] * (high - low) == pytest.approx(2, rel=0.2)
    assert found["stored_level"] == pytest.approx(np.sqrt(2 * clean.mean()), rel=0.1)
    assert "in the file's values" in run("noise", "--estimate", "a.tif").stdout


def textured(side: int = 192) -> torch.Tensor:
    """Fallen leaves: small discs of all grays on top of each other, nowhere flat; (3, H, W)."""
    random = np.random.default_rng(5)
    down, across = np.mgrid[:side, :side]
    gray = np.zeros((side, side), np.float32)
    for _ in range(6000):
        y, x, radius = *random.uniform(-4, side + 4, 2), random.uniform(2.5, 4.5)
        rows, columns = (slice(max(0, int(v) - 5), max(0, int(v) + 6)) for v in (y, x))
        far = (down[rows, columns] - y) ** 2 + (across[rows, columns] - x) ** 2
        gray[rows, columns][far < radius**2] = random.uniform(0.4, 0.6)
    colour = torch.tensor([0.9, 1.0, 0.8])[:, None, None]
    return torch.from_numpy(gray) * colour


def test_texture_is_less_noise_in_a_photograph(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "leaves.png"
    iio.imwrite(path, (textured() * 255).round().byte().permute(1, 2, 0).numpy())
    output = run("noise", "--estimate", str(path)).output
    assert (
        float(output.split("sigma ")[1].split()[0]) < 0.6 * 255 * estimate_noise(textured()).sigma
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--estimate"], "no input: name images"),
        (["--estimate", "a.png", "--type", "gaussian"], "adds no noise"),
    ],
)
def test_requests_that_cannot_be_met(
    run: Run, tmp_path: Path, arguments: list[str], words: str
) -> None:
    picture(tmp_path / "a.png", 12)
    result = run("noise", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
