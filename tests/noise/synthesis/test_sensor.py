"""Moments of sensor, film and camera noise against theory."""

from __future__ import annotations

import pytest
import torch

from mdn import noise
from mdn.noise.synthesis import demosaic, isp, sensor
from tests.noise.synthesis.moments import assert_moments, flat, generator

# --- Poisson-Gaussian -------------------------------------------------------------------------


@pytest.mark.parametrize("photons", [30, 300])
@pytest.mark.parametrize("value", [0.1, 0.9])
def test_poisson_gaussian_variance_is_shot_plus_read_plus_rounding(
    photons: float, value: float
) -> None:
    x = flat(value)
    extra = sensor.READ_NOISE**2 + 1 / (12 * sensor.GAIN**2)
    variance = value / photons + extra / photons**2
    assert_moments(noise.add(x, "poisson-gaussian", photons, generator()) - x, variance)


def test_a_sensor_clips_at_its_converter_and_rounds_to_its_units() -> None:
    per_white = 30000.0 * sensor.GAIN
    y = noise.add(flat(1.1), "poisson-gaussian", 30000.0, generator())
    assert float(y.max()) == pytest.approx((65535 - sensor.OFFSET) / per_white)
    dark = noise.add(flat(0.01), "poisson-gaussian", 30000.0, generator()) * per_white
    assert torch.allclose(dark, dark.round(), atol=1e-2)


# --- Banding ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "axis"), [("banding-rows", 2), ("banding-columns", 1)])
def test_banding_is_constant_along_its_lines(kind: str, axis: int) -> None:
    x = torch.full((3, 4000, 3) if axis == 2 else (3, 3, 4000), 0.5)
    change = noise.add(x, kind, 10, generator()) - x
    lines = change.select(axis, 0)
    assert torch.equal(change, lines.unsqueeze(axis).expand_as(change))
    assert torch.equal(lines[0], lines[2])
    assert_moments(lines[0], (10 / 255) ** 2)


# --- Grain ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 0.2, 0.5, 1.0])
def test_grain_is_strongest_in_the_mid_tones(value: float) -> None:
    x = flat(value)
    change = noise.add(x, "grain", 20, generator()) - x
    variance = (20 / 255) ** 2 * (0.1 + 0.9 * 4 * value * (1 - value))
    assert_moments(change, variance, independent=30)
    correlation = torch.corrcoef(change.flatten(1))
    assert float(correlation[0, 1]) == pytest.approx(0.8, abs=0.03)
    beside = torch.stack([change[0, :, 1:].flatten(), change[0, :, :-1].flatten()])
    # A Gaussian of 0.8 pixels has the autocorrelation exp(-1 / (4 * 0.8^2)) at lag 1.
    assert float(torch.corrcoef(beside)[0, 1]) == pytest.approx(0.677, abs=0.03)


# --- Camera pipeline --------------------------------------------------------------------------


def camera_like(count: int) -> isp.Camera:
    camera = isp.draw_camera(count, generator(3))
    return isp.Camera(camera.to_camera, torch.ones_like(camera.gains), camera.shot, camera.read)


def test_process_undoes_unprocess() -> None:
    x = 0.05 + 0.8 * torch.rand(4, 3, 16, 16, generator=generator())
    camera = camera_like(4)
    # Saturated colours leave a camera's gamut and are cut; near-gray ones return.
    x = 0.5 * x + 0.5 * x.mean(1, keepdim=True)
    assert torch.allclose(isp.process(isp.unprocess(x, camera), camera), x, atol=2e-4)


def test_gains_darken_the_raw_but_white_stays_white() -> None:
    camera = isp.draw_camera(4, generator(3))
    gray = isp.unprocess(torch.full((4, 3, 2, 2), 0.5), camera)
    plain = isp.unprocess(torch.full((4, 3, 2, 2), 0.5), camera_like(4))
    assert torch.allclose(gray * camera.gains, plain, atol=1e-5)
    white = isp.unprocess(torch.ones(4, 3, 2, 2), camera)
    assert torch.allclose(white, torch.ones_like(white), atol=1e-4)


def test_cameras_follow_the_published_distributions() -> None:
    camera = isp.draw_camera(4000, generator())
    shot, read = camera.shot.flatten().log(), camera.read.flatten().log()
    assert float(shot.exp().min()) >= 0.0001 * 0.999
    assert float(shot.exp().max()) <= 0.012 * 1.001
    residual = read - (2.18 * shot + 1.20)
    assert_moments(residual, 0.26**2)
    assert torch.allclose(camera.to_camera.sum(2), torch.ones(4000, 3), atol=1e-5)
    red, blue = (camera.gains[:, c, 0, 0] / camera.gains[:, 1, 0, 0] for c in (0, 2))
    assert 1.9 <= float(red.min()) < float(red.max()) <= 2.4001
    assert 1.5 <= float(blue.min()) < float(blue.max()) <= 1.9001


def test_demosaicing_a_mosaic_of_flat_colour_gives_it_back() -> None:
    colour = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 7, 10)
    full = demosaic.bilinear((colour * demosaic.bayer_masks(7, 10)).sum(1, keepdim=True))
    assert torch.allclose(full, colour, atol=1e-6)


def test_camera_noise_on_linear_gray_has_the_variance_of_the_chain() -> None:
    """A gray of the raw's own making: green before and after, through the slope of the curves."""
    value = 0.5
    camera = isp.draw_camera(1, generator(11))
    raw = isp.unprocess(torch.full((1, 3, 1, 1), value), camera)
    y = noise.add(torch.full((3, 256, 256), value), "isp", 0.02, generator(11))
    # Slopes of process() by finite differences, one raw colour at a time.
    slopes = []
    for channel in range(3):
        step = torch.zeros(1, 3, 1, 1)
        step[:, channel] = 1e-4
        slopes.append((isp.process(raw + step, camera) - isp.process(raw - step, camera)) / 2e-4)
    variance = (camera.shot * raw + camera.read) * 0.02**2
    # Mean energy of the bilinear weights: red and blue 9/16, green 5/8.
    energy = torch.tensor([9 / 16, 5 / 8, 9 / 16]).view(1, 3, 1, 1)
    expected = sum((slopes[c].flatten() ** 2) * (variance * energy).flatten()[c] for c in range(3))
    assert isinstance(expected, torch.Tensor)
    assert torch.allclose((y - value).flatten(1).var(1), expected, rtol=0.05)


def test_camera_noise_depends_on_brightness_and_correlates() -> None:
    source = generator(5)
    dark, light = torch.full((24, 3, 64, 64), 0.1), torch.full((24, 3, 64, 64), 0.5)
    spread = [(noise.add(x, "isp", 1, source) - x).var() for x in (dark, light)]
    assert float(abs(spread[0] / spread[1] - 1)) > 0.1
    change = noise.add(light, "isp", 1, source) - light
    beside = torch.stack([change[..., 1:].flatten(), change[..., :-1].flatten()])
    assert float(torch.corrcoef(beside)[0, 1]) > 0.2
