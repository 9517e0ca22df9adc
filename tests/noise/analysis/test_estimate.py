"""The blind estimator against known truths, on made pictures and on photos, and its parts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mdn import noise
from mdn.errors import UsageError
from mdn.noise.analysis import impulses
from mdn.noise.analysis.estimate import NoiseEstimate, estimate
from mdn.noise.analysis.lines import STRIP, offsets, steps
from tests.noise.synthesis.moments import generator


def scene(side: int = 192) -> Tensor:
    """(3, side, side): soft shading over most of the range, with a few sharp edges."""
    grid = torch.linspace(0, 1, side)
    across, down = torch.meshgrid(grid, grid, indexing="xy")
    shade = 0.15 + 0.6 * across * (0.5 + 0.5 * down)
    shade = torch.where((across - 0.5) ** 2 + (down - 0.5) ** 2 < 0.04, 0.8 - 0.5 * down, shade)
    return torch.stack([shade, 0.9 * shade + 0.05, 1 - shade])


def stored(x: Tensor) -> Tensor:
    """x as an 8-bit file holds it."""
    return (x.clamp(0, 1) * 255).round() / 255


def seen(kind: str, level: float | Tensor, x: Tensor | None = None) -> NoiseEstimate:
    return estimate(stored(noise.add(scene() if x is None else x, kind, level, generator(2))))


def kinds(found: NoiseEstimate) -> set[str]:
    """The names of what the estimate calls the noise."""
    named = {
        "signal-dependent": found.signal_dependent,
        "correlated": found.correlated,
        "impulsive": found.impulsive,
    }
    return {name for name, holds in named.items() if holds}


@pytest.mark.parametrize("sigma", [2, 5, 15, 50])
def test_level_of_gaussian_noise(sigma: float) -> None:
    found = seen("gaussian", sigma)
    assert (255 * found.sigma, kinds(found)) == (pytest.approx(sigma, rel=0.06), set())


def test_a_clean_picture_has_almost_none() -> None:
    found = estimate(stored(scene()))
    assert 255 * found.sigma < 1
    assert kinds(found) == set()


@pytest.mark.parametrize(("kind", "level"), [("poisson", 3), ("speckle", 0.03)])
def test_signal_dependent_noise(kind: str, level: float) -> None:
    found = seen(kind, level)
    assert kinds(found) == {"signal-dependent"}


def test_gain_and_offset_of_a_sensor() -> None:
    """Variance x / photons + read^2 / photons^2: the fitted line must show both."""
    photons, level = 100, 20 / 255
    x = noise.add(scene(), "poisson-gaussian", photons, generator(2))
    found = estimate(x + level * torch.randn(x.shape, generator=generator(3)))
    assert found.signal_dependent
    assert found.gain == pytest.approx(1 / photons, rel=0.15)
    assert found.offset == pytest.approx(level**2 + 1.6**2 / photons**2, rel=0.25)
    line = [found.gain * b + found.offset for b in found.brightness]
    assert found.variance == pytest.approx(line, rel=0.35)


@pytest.mark.parametrize(
    ("kind", "level"), [("spatial", 50), ("grain", 20), ("banding-rows", 10), ("isp", 2)]
)
def test_correlated_noise(kind: str, level: float) -> None:
    assert seen(kind, level).correlated


def test_level_and_correlation_of_smoothed_noise() -> None:
    found = seen("spatial", 60)
    assert found.neighbours == pytest.approx((2 / 3, 2 / 3), abs=0.07)
    assert 255 * found.sigma == pytest.approx(20, rel=0.15)


@pytest.mark.parametrize("sigma", [40, 50, 60])
def test_low_frequencies_of_smoothed_noise_are_those_of_the_noise_before(sigma: float) -> None:
    assert 255 * seen("spatial", sigma).low_frequency_sigma == pytest.approx(sigma, rel=0.15)


def test_low_frequencies_of_a_picture_with_black_places() -> None:
    """Cut off at black the noise looks weak, and its places calm."""
    dark = scene()
    dark[:, :, :90] = 0.02
    found = seen("spatial", 60, dark)
    assert 255 * found.low_frequency_sigma == pytest.approx(60, rel=0.15)
    assert 255 * found.sigma == pytest.approx(20, rel=0.15)


@pytest.mark.parametrize("share", [0.005, 0.02, 0.2])
def test_share_of_impulses(share: float) -> None:
    found = seen("salt-pepper", share)
    assert found.impulsive
    assert found.impulses == pytest.approx(share, rel=0.2)


def photo(path: Path) -> Tensor:
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)


@pytest.mark.parametrize("name", ["cbsd68/101085.jpg", "kodak24/kodim23.png"])
def test_low_frequencies_within_fifteen_percent_on_photos(shared_data: Path, name: str) -> None:
    path = shared_data / "test" / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the picture collection")
    clean = photo(path)[:, :320, :320]
    for sigma in (40, 60):
        noisy = stored(noise.add(clean, "spatial", sigma, generator(2)))
        assert 255 * estimate(noisy).low_frequency_sigma == pytest.approx(sigma, rel=0.15), sigma


@pytest.mark.parametrize("name", ["cbsd68/101085.jpg", "cbsd68/105025.jpg", "kodak24/kodim23.png"])
def test_level_within_ten_percent_on_photos(shared_data: Path, name: str) -> None:
    path = shared_data / "test" / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the picture collection")
    clean = photo(path)[:, :320, :320]
    for sigma in (5, 15, 50):
        noisy = stored(noise.add(clean, "gaussian", sigma, generator(2)))
        assert 255 * estimate(noisy).sigma == pytest.approx(sigma, rel=0.10), sigma


@pytest.mark.parametrize("shape", [(3, 15, 40), (3, 40, 1), (40, 40)])
def test_pictures_too_small_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="at least 16 pixels"):
        estimate(torch.zeros(shape))


def test_samples_that_are_not_finite_are_refused() -> None:
    x = torch.zeros(3, 32, 32)
    x[0, 3, 3] = float("nan")
    with pytest.raises(UsageError, match="NaN"):
        estimate(x)


@pytest.mark.parametrize(
    ("kind", "level", "power"), [("gaussian", 20.0, 0), ("poisson", 3.0, 1), ("speckle", 0.03, 2)]
)
def test_the_curve_follows_the_variance(kind: str, level: float, power: int) -> None:
    ramp = torch.linspace(0.1, 0.8, 256).expand(3, 256, 256)
    generator = torch.Generator().manual_seed(3)
    noisy = noise.add(ramp, kind, level, generator)
    a, b, c = estimate(noisy).curve
    assert min(a, b, c) >= 0
    for brightness in (0.2, 0.45, 0.7):
        flat = torch.full((1, 400, 400), brightness)
        if kind == "poisson":  # its strength depends on the number of values in the picture
            flat = torch.cat([ramp[:1, :1].expand(1, 400, 256), flat], 2)
        drawn = noise.add(flat, kind, level, torch.Generator().manual_seed(4))
        true = float((drawn - flat)[:, :, -400:].var())
        assert a + b * brightness + c * brightness**2 == pytest.approx(true, rel=0.15), power


def found(x: Tensor) -> Tensor | None:
    strips = x.split(STRIP, 2)
    return offsets(torch.stack([steps(strip) for strip in strips if strip.shape[2] == STRIP]))


def banded(level: float, channels: int = 1, sigma: float = 0.0) -> tuple[Tensor, Tensor]:
    """A scene with row offsets, shared by the channels or not, and white noise; the offsets."""
    rows = torch.randn(channels, 192, 1, generator=generator(1)) * level / 255
    white = torch.randn(3, 192, 192, generator=generator(2)) * sigma / 255
    return stored(0.1 + 0.8 * scene() + rows + white), rows[..., 0].expand(3, -1)


@pytest.mark.parametrize(
    ("channels", "level", "sigma"), [(1, 5.0, 0.0), (1, 15.0, 0.0), (1, 8.0, 15.0), (3, 8.0, 0.0)]
)
def test_the_offsets_are_those_that_were_added(channels: int, level: float, sigma: float) -> None:
    x, truth = banded(level, channels, sigma)
    rows = found(x)
    left = (rows - truth) - (rows - truth).mean(1, keepdim=True)
    assert float(left.std()) < 0.35 * level / 255
    assert torch.equal(rows[0], rows[2]) == (channels == 1)


PLACES = [(0, 5), (19, 7), (4, 0), (9, 29), (0, 0), (19, 29), (10, 12)]


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_lone_samples_are_found_at_the_border_as_inside(end: float) -> None:
    page = torch.full((1, 3, 20, 30), 0.5)
    wanted = torch.zeros_like(page, dtype=torch.bool)
    for row, column in PLACES:
        wanted[0, 1, row, column] = True
    page[wanted] = end
    assert torch.equal(impulses.ends(page), wanted)
    assert torch.equal(impulses.impulse_mask(page, 0.05), wanted)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (3, 3)])
def test_tiny_pictures_and_flat_ones_have_none(shape: tuple[int, int]) -> None:
    page = torch.ones(1, 3, *shape)
    assert not impulses.ends(page).any()
    assert not impulses.impulse_mask(page, 0.05).any()
    assert torch.equal(impulses.fix_hot_pixels(page, 0.1), page)
