"""Metrics against scikit-image, SciPy, their own packages and figures worked out by hand."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mdn import metrics


def pair(side: int = 40, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A smooth 8-bit picture with a gradient and an edge, and the same with noise."""
    y, x = np.mgrid[:side, : side + 5]
    waves = [128 + 60 * np.sin(x / (4 + c)) + 50 * (y > side / 2) for c in range(channels)]
    truth = np.stack(waves, -1).clip(0, 255).astype(np.uint8)
    noise = np.random.default_rng(1).normal(0, 20, truth.shape)
    return np.rint(np.clip(truth + noise, 0, 255)).astype(np.uint8), truth


def tensors(side: int = 40, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    noisy, truth = pair(side, channels)
    how = metrics.PROTOCOLS["float"]
    return metrics.prepare(noisy, how), metrics.prepare(truth, how)


def test_paper_protocol_is_scikit_image_with_a_border_cut() -> None:
    noisy, truth = pair()
    scores = metrics.score(noisy, truth, ("psnr", "ssim"), metrics.PROTOCOLS["paper"])
    inner, reference = noisy[1:-1, 1:-1], truth[1:-1, 1:-1]
    assert scores["psnr"] == pytest.approx(peak_signal_noise_ratio(reference, inner), abs=1e-9)
    expected = structural_similarity(
        reference,
        inner,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    assert scores["ssim"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_float_protocol_is_scikit_image_as_it_comes(channels: int) -> None:
    noisy, truth = (each.astype(np.float32) / 255 + 0.001 for each in pair(channels=channels))
    clipped = noisy.clip(0, 1), truth.clip(0, 1)
    scores = metrics.score(noisy, truth, ("psnr", "ssim"), metrics.PROTOCOLS["float"])
    assert scores["psnr"] == pytest.approx(
        peak_signal_noise_ratio(clipped[1], clipped[0], data_range=1), abs=1e-4
    )
    expected = structural_similarity(clipped[1], clipped[0], channel_axis=-1, data_range=1)
    assert scores["ssim"] == pytest.approx(expected, abs=1e-5)


def test_the_paper_protocol_rounds_to_eight_bits() -> None:
    truth = np.full((16, 16, 3), 100 / 255, np.float32)
    almost = truth + np.float32(0.4 / 255)
    assert metrics.score(almost, truth, ("psnr",), metrics.PROTOCOLS["paper"])["psnr"] == math.inf
    exact = metrics.score(almost, truth, ("psnr",), metrics.PROTOCOLS["float"])["psnr"]
    assert exact == pytest.approx(20 * math.log10(255 / 0.4), abs=1e-3)


def test_ms_ssim_of_a_known_pair() -> None:
    """The figure is that of the package pytorch-msssim 1.0.0 on this pair."""
    noisy, truth = (each[..., :176] for each in tensors(side=176))
    assert metrics.ms_ssim(noisy, truth) == pytest.approx(0.936574, abs=1e-5)
    assert metrics.ms_ssim(truth, truth) == pytest.approx(1)


def test_gmsd_is_what_its_paper_says() -> None:
    def gradient(picture: np.ndarray) -> np.ndarray:
        luma = picture.astype(float) @ (0.299, 0.587, 0.114)
        half = luma.reshape(luma.shape[0] // 2, 2, -1, 2).mean((1, 3))
        prewitt = np.array([[1, 0, -1]] * 3) / 3
        edges = [ndimage.convolve(half, kernel, mode="constant") for kernel in (prewitt, prewitt.T)]
        return np.hypot(*edges)

    noisy, truth = (each[:, :44] for each in pair())
    one, other = gradient(noisy), gradient(truth)
    expected = ((2 * one * other + 170) / (one**2 + other**2 + 170)).std()
    scores = metrics.score(noisy, truth, ("gmsd",), metrics.PROTOCOLS["float"])
    assert scores["gmsd"] == pytest.approx(expected, abs=1e-9)


def test_a_fit_undoes_gain_and_offset() -> None:
    noisy, truth = tensors()
    assert metrics.psnr_fit(truth * 0.3 + 0.2, truth) > 100
    assert metrics.psnr_fit(noisy * 0.3 + 0.2, truth) == pytest.approx(
        metrics.psnr_fit(noisy, truth)
    )
    assert metrics.psnr_fit(noisy, truth) >= metrics.psnr(noisy, truth)
    flat = torch.full_like(truth, 0.5)
    assert metrics.psnr_fit(flat, truth) == pytest.approx(-10 * math.log10(truth.var(correction=0)))


def test_a_picture_too_small_for_a_window_has_no_score() -> None:
    noisy, truth = pair(side=12)
    scores = metrics.score(noisy, truth, ("psnr", "ssim", "ms-ssim"), metrics.PROTOCOLS["paper"])
    assert scores["psnr"] is not None
    assert scores["ssim"] is None
    assert scores["ms-ssim"] is None


def test_metrics_of_light_by_hand() -> None:
    truth = np.full((8, 8, 3), 2, np.float32)
    wanted = ("relmse", "smape", "psnr")
    scores = metrics.score(truth + 1, truth, wanted, metrics.PROTOCOLS["float"], linear=True)
    assert scores["relmse"] == pytest.approx(1 / 4.01)
    assert scores["smape"] == pytest.approx(1 / 5.01)
    assert scores["psnr"] == float("inf")  # both are brighter than a screen's white
    assert metrics.score(truth, truth, ("smape",), metrics.PROTOCOLS["float"])["smape"] is None


def light(sigma: float) -> np.ndarray:
    """A render with a light brighter than white, (64, 64, 3), and noise on it."""
    y, x = np.mgrid[:64, :64]
    values = np.stack([0.2 + 0.1 * np.sin(x / 3), 0.3 + y / 90, 0.1 + x * 0], -1)
    values[2:6, 2:6] = 4
    noise = np.random.default_rng(0).normal(1, sigma, values.shape)
    return (values * np.abs(noise)).astype(np.float32)


def test_flip_follows_its_package() -> None:
    package = pytest.importorskip("flip_evaluator")
    truth, noisy = (light(noise) for noise in (0, 0.3))
    _, want, _ = package.evaluate(truth, noisy, "HDR", applyMagma=False)
    how = metrics.PROTOCOLS["float"]
    got = metrics.score(noisy, truth, ("flip",), how, linear=True)["flip"]
    assert got == pytest.approx(want, rel=1e-6)
    assert metrics.score(truth, truth, ("flip",), how, linear=True)["flip"] == pytest.approx(0)


class Distance(torch.nn.Module):
    """Stands in for the package's net: the mean difference of what it is given."""

    def __init__(self, net: str, verbose: bool) -> None:
        assert net == "alex"
        assert not verbose
        super().__init__()

    def forward(self, x: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        assert (x.shape, x.shape[:2], x.dtype) == (truth.shape, (1, 3), torch.float32)
        return (x - truth).abs().mean().reshape(1, 1, 1, 1)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Packages that are there; the path that AlexNet's weights would have."""
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=Distance, __spec__=True))
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(__spec__=True))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    metrics._lpips_net.cache_clear()
    yield tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    metrics._lpips_net.cache_clear()


def test_without_the_package_there_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    assert "pip install 'mdn[lpips]'" in metrics.get("lpips").missing()


def test_without_weights_there_is_a_line_and_no_download(installed: Path) -> None:
    line = metrics.get("lpips").missing()
    assert "AlexNet's weights are not at hand" in line
    assert str(installed.parent) in line


@pytest.mark.parametrize("channels", [1, 3])
def test_with_weights_it_is_measured(installed: Path, channels: int) -> None:
    installed.parent.mkdir(parents=True)
    installed.write_bytes(b"weights")
    assert metrics.get("lpips").missing() == ""
    truth = np.full((64, 70, channels), 0.25, np.float32)
    got = metrics.score(truth + np.float32(0.125), truth, ("lpips",), metrics.PROTOCOLS["float"])[
        "lpips"
    ]
    assert got == pytest.approx(0.25)  # the package takes -1..1
    small = truth[:63]
    assert metrics.score(small, small, ("lpips",), metrics.PROTOCOLS["float"])["lpips"] is None
