"""A detector that the user describes is believed, on every route."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner

import mdn
from mdn.cli.app import app
from mdn.encoding import Counts, Detector, detector_of
from mdn.errors import UsageError
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import denoise_tiles
from mdn.pipeline.in_memory import Picture, treatment
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options

DETECTOR = Detector(gain=2.0, offset=100.0, read_noise=3.0)
TOLD = {"gain": 2.0, "offset": 100.0, "read_noise": 3.0}


def light(photons: float) -> np.ndarray:
    y, x = np.mgrid[:160, :160]
    ring = np.exp(-((np.hypot(y - 80, x - 70) - 40) ** 2) / 60)
    return photons * (0.1 + ring + 0.2 * np.sin(x / 5) ** 2 * (y > 110))


def counted(photons: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noisy = rng.poisson(light(photons)) * 2.0 + 100 + 3 * rng.standard_normal((160, 160))
    return np.rint(noisy).astype(np.uint16)


def error(result: np.ndarray, photons: float) -> float:
    """Of PSNR, dB: differences of it are what counts."""
    mean = (result.astype(np.float64) - 100) / 2
    return float(10 * np.log10(np.mean((mean - light(photons)) ** 2)))


@pytest.mark.parametrize("photons", [1, 30, 1000])
def test_a_detector_by_option_is_the_net_told_the_truth(photons: float) -> None:
    stored = counted(photons)
    models = Models(device="cpu", options=Options(detector=DETECTOR, precision="fp32"))
    told = treatment(Picture(stored[None, ..., None]), models).restore()[0][0, ..., 0]
    low, high = float(stored.min()), float(stored.max())
    coding = Counts(stored.dtype, low, high, DETECTOR.anscombe, float(np.median(stored)))
    noise = NoiseConditioning(coding.level or 0.0)
    with torch.inference_mode():
        x = torch.from_numpy(coding.encode(stored))[None, None]
        y = denoise_tiles(x, [(0, 0)], noise, models.load("counts"), Options(precision="fp32"))
    alone = coding.decode(y[0, 0].numpy(), stored)
    assert error(told, photons) < error(alone, photons) + 0.05


def test_the_array_the_file_and_the_stack_are_told_alike(tmp_path: Path) -> None:
    stored = np.stack([counted(20, seed) for seed in range(2)])
    tifffile.imwrite(tmp_path / "in.tif", stored, metadata={"axes": "TYX"}, imagej=True)
    told = mdn.denoise(stored, axes="TYX", device="cpu", **TOLD)
    assert np.array_equal(told, mdn.denoise(tmp_path / "in.tif", device="cpu", **TOLD))
    options = ["--gain", "2", "--offset", "100", "--read-noise", "3", "--device", "cpu"]
    command = ["denoise", str(tmp_path / "in.tif"), "-o", str(tmp_path / "out.tif"), *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert np.array_equal(told, tifffile.imread(tmp_path / "out.tif"))


def test_what_is_told_is_believed_against_the_samples() -> None:
    stored = counted(20)
    usual = mdn.denoise(stored, device="cpu", **TOLD)
    noisier = mdn.denoise(stored, gain=8.0, offset=100.0, read_noise=12.0, device="cpu")
    assert error(noisier, 20) > error(usual, 20) + 0.3


@pytest.mark.parametrize("given", [(2.0, None, None), (None, 100.0, 3.0), (0.0, 1.0, 1.0),
                                   (1.0, 1.0, -1.0), (float("nan"), 0.0, 1.0)])  # fmt: skip
def test_two_of_three_and_nonsense_are_refused(given: tuple[float | None, ...]) -> None:
    with pytest.raises(UsageError, match=r"--gain|--read-noise"):
        detector_of(*given)


def test_a_sigma_beside_it_is_refused() -> None:
    with pytest.raises(UsageError, match="--sigma"):
        Options(sigma=0.1, detector=DETECTOR)
