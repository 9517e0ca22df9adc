"""The simulated camera: noise of the sensor against theory, demosaic, twins, sizes, codec."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mdn.noise.synthesis import camera, demosaic
from mdn.noise.synthesis.camera import profiles
from tests.noise.synthesis.moments import assert_moments, generator

ISOS = list(profiles.TABLE)


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=generator(9))


# --- the sensor ---------------------------------------------------------------------------------


@pytest.mark.parametrize("iso", ISOS)
@pytest.mark.parametrize("value", [0.02, 0.6])
def test_raw_noise_has_the_variance_of_its_profile(iso: int, value: float) -> None:
    (_, shot, _), (read, _) = profiles.quantiles(iso)
    assert (shot, read) == (profiles.TABLE[iso][0][1], profiles.TABLE[iso][1][0])
    raw = torch.full((1, 1, 256, 256), value)
    change = camera.record(raw, profiles.SensorNoise(shot, read), generator(iso)) - raw
    assert_moments(change, shot * value + read)


@pytest.mark.parametrize("iso", ISOS)
def test_cameras_spread_as_the_measured_ones(iso: int) -> None:
    source = generator(1)
    drawn = [profiles.draw_sensor(iso, source) for _ in range(1500)]
    shot = np.quantile([each.shot for each in drawn], (0.05, 0.5, 0.95))
    read = np.quantile([each.read for each in drawn], (0.5, 0.95))
    assert shot == pytest.approx(profiles.TABLE[iso][0], rel=0.25)
    assert read == pytest.approx(profiles.TABLE[iso][1], rel=0.35)


def test_noise_grows_with_the_iso_setting_between_the_rows_too() -> None:
    medians = [profiles.quantiles(iso)[0][1] for iso in (50, 100, 200, 1000, 3200, 5000, 102400)]
    assert medians == sorted(medians)
    assert medians[0] == medians[1]  # beyond the table: as at its end


# --- demosaic -----------------------------------------------------------------------------------


def mosaicked(colours: torch.Tensor) -> torch.Tensor:
    """(3, H, W) -> what an RGGB sensor keeps of it, (1, 1, H, W)."""
    return (colours * demosaic.bayer_masks(*colours.shape[1:])).sum(0)[None, None]


@pytest.mark.parametrize("method", demosaic.METHODS)
@pytest.mark.parametrize("size", [(16, 16), (9, 14), (7, 5)])
def test_one_colour_comes_back_exactly(method, size: tuple[int, int]) -> None:
    colours = torch.tensor([0.2, 0.5, 0.9]).view(3, 1, 1).expand(3, *size)
    assert torch.allclose(method(mosaicked(colours))[0], colours, atol=1e-6)


@pytest.mark.parametrize("method", [demosaic.bilinear, demosaic.malvar])
def test_linear_ramps_come_back_exactly_inside(method) -> None:
    rows, columns = torch.arange(20.0)[:, None], torch.arange(18.0)[None]
    ramps = [0.1 + 0.02 * rows + 0.01 * columns, 0.8 - 0.03 * columns + 0 * rows, 0.3 + 0.01 * rows]
    colours = torch.stack([ramp.expand(20, 18) for ramp in ramps])
    result = method(mosaicked(colours))[0]
    assert torch.allclose(result[:, 3:-3, 3:-3], colours[:, 3:-3, 3:-3], atol=1e-5)


@pytest.mark.parametrize("method", demosaic.METHODS)
def test_cells_keep_what_they_measured(method) -> None:
    colours = picture(3, 12, 12)
    cells = demosaic.bayer_masks(12, 12) > 0
    assert torch.allclose(method(mosaicked(colours))[0][cells], colours[cells], atol=1e-6)


# --- the whole camera ---------------------------------------------------------------------------


def test_the_same_seed_takes_the_same_photo() -> None:
    x = picture(2, 3, 24, 24)
    first, again, other = (camera.take_photos(x, 3200, generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[1], other[1])  # another camera, so another look as well


def test_the_clean_twin_knows_nothing_of_the_noise() -> None:
    settings = camera.draw_settings(12800, generator(4))
    x = picture(1, 3, 32, 32)
    (one, clean), (two, same) = (camera.take_photo(x, settings, generator(seed)) for seed in (1, 2))
    assert torch.equal(clean, same)
    assert not torch.equal(one, two)


def test_without_noise_and_codec_both_are_one_picture() -> None:
    settings = replace(
        camera.draw_settings(3200, generator(5)), sensor=profiles.SensorNoise(0, 0), quality=0
    )
    noisy, clean = camera.take_photo(picture(1, 3, 32, 32), settings, generator())
    assert float((noisy - clean).abs().max()) <= 0.5 / 255 + 1e-6


def test_gray_pictures_stay_gray() -> None:
    noisy, clean = camera.take_photos(picture(2, 1, 24, 24), 3200, generator())
    assert noisy.shape == clean.shape == (2, 1, 24, 24)
    assert not torch.equal(noisy, clean)


@pytest.mark.parametrize("height", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_the_smallest_pictures_have_their_photo(height: int, width: int) -> None:
    source = generator(height * 10 + width)
    for _ in range(4):
        noisy, clean = camera.take_photos(picture(3, height, width), 3200, source)
        for each in (noisy, clean):
            assert each.shape == (3, height, width)
            assert bool(torch.isfinite(each).all())
        assert 0 <= float(clean.min()) <= float(clean.max()) <= 1


def test_settings_stay_within_what_cameras_do() -> None:
    source = generator(6)
    drawn = [camera.draw_settings(3200, source) for _ in range(600)]
    coded = [each.quality for each in drawn if each.quality]
    assert 75 <= min(coded) < 80
    assert 95 < max(coded) <= 99
    assert len(coded) / len(drawn) == pytest.approx(0.85, abs=0.06)
    assert {each.method for each in drawn} == {0, 1, 2}
    assert {each.radius for each in drawn} == {1, 2, 3}
    assert all(0 < each.exposure <= 1 and 0.5 < each.resize < 2 for each in drawn)


def test_higher_iso_is_noisier() -> None:
    x = torch.full((8, 3, 24, 24), 0.5)
    spread = [
        float((noisy - clean).square().mean())
        for noisy, clean in (camera.take_photos(x, iso, generator(7)) for iso in (100, 12800))
    ]
    assert spread[1] > 4 * spread[0]
