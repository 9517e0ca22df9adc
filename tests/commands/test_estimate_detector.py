"""`mdn noise --estimate`: gain, offset and read noise, and a folder of flats together."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import mdn
from mdn.cli.app import app


def counted(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = 2.0 * rng.poisson(light) + 100 + 3 * rng.standard_normal(light.shape)
    return np.rint(noisy).astype(np.uint16)


def spot(photons: float) -> np.ndarray:
    y, x = np.mgrid[:192, :192]
    return photons * (0.05 + np.exp(-(((y - 96) / 40) ** 2 + ((x - 80) / 40) ** 2)))


def estimate(*arguments: str) -> dict:
    result = CliRunner().invoke(app, ["noise", "--estimate", "--json", *arguments])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_static_series_is_measured_by_its_differences(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stack = np.stack([counted(spot(200), rng) for _ in range(5)])
    tifffile.imwrite(tmp_path / "t.tif", stack, imagej=True, metadata={"axes": "TYX"})
    document = estimate(str(tmp_path / "t.tif"), "--offset", "100")
    numbers = document["files"][0]["detector"]["0"]
    assert numbers["gain"] == pytest.approx(2, rel=0.05)
    assert numbers["read_noise"] == pytest.approx(3, abs=1)
    assert "photon transfer of 4 pairs" in numbers["source"]
    assert mdn.estimate_noise(stack, axes="TYX").gain == pytest.approx(numbers["gain"])


def test_a_folder_of_flats_and_darks_is_measured_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    shade = 1 + 0.2 * np.linspace(0, 1, 192) * np.ones((192, 1))
    for name, photons in (("dark", 0), ("flat20", 20), ("flat200", 200), ("flat900", 900)):
        for number in range(2):
            tifffile.imwrite(tmp_path / f"{name}_{number}.tif", counted(photons * shade, rng))
    numbers = estimate(str(tmp_path))["detector"]
    assert numbers["gain"] == pytest.approx(2, rel=0.05)
    assert numbers["offset"] == pytest.approx(100, abs=0.2)
    assert numbers["read_noise"] == pytest.approx(3, abs=0.3)


def test_of_a_single_picture_they_are_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "one.tif", counted(spot(60), np.random.default_rng(2)))
    numbers = estimate(str(tmp_path / "one.tif"))["files"][0]["detector"]["0"]
    bright = 100 + 2 * 60
    variance = numbers["gain"] * (bright - numbers["offset"]) + numbers["read_noise"] ** 2
    assert variance == pytest.approx(2 * 120 + 9, rel=0.25)
