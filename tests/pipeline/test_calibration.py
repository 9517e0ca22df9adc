"""What is seen of a measured channel, against what was put into it."""

import numpy as np
import pytest
import torch

from mdn.noise.analysis.impulses import fix_hot_pixels
from mdn.pipeline.calibration import Calibration, calibrate


def camera(
    shape: tuple[int, int], gain: float, pedestal: float, read: float, seed: int = 0
) -> np.ndarray:
    """Discs of light on the dark, counted and read out, float64 before rounding."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    photons = 4 + 60 * (np.hypot(y % 64 - 32, x % 64 - 32) < 22) * (1 + (x // 64) % 3)
    return gain * rng.poisson(photons) + pedestal + read * rng.standard_normal(shape)


def look(pixels: np.ndarray) -> Calibration:
    plane = (pixels.shape, lambda top, bottom, left, right: pixels[top:bottom, left:right])
    return calibrate([plane], pixels.dtype)


def test_the_noise_of_encoded_values_is_on_their_scale() -> None:
    clean = np.full((256, 256), 60.0)
    pixels = np.rint(5 * np.random.default_rng(0).poisson(clean) + 200).astype(np.uint16)
    measured = look(pixels)
    estimate = measured.noise.estimate
    deviation = float(measured.coding.encode(pixels).std())
    assert estimate.sigma == pytest.approx(deviation, rel=0.1)
    assert estimate.curve == pytest.approx((deviation**2, 0, 0), rel=0.2)


def test_hot_and_dead_pixels_are_mended_and_points_of_light_are_not() -> None:
    pixels = np.rint(camera((256, 256), 5, 200, 8)).astype(np.uint16)
    y, x = np.mgrid[:256, :256]
    pixels = pixels + (4000 * np.exp(-((y - 2) ** 2 + (x - 2) ** 2) / 2)).astype(np.uint16)
    rng = np.random.default_rng(1)
    hot = [(int(a), int(b)) for a, b in rng.integers(8, 248, (20, 2))]
    hot += [(0, 100), (255, 30), (90, 0), (255, 255)]  # the border has them, too
    for place in hot:
        pixels[place] = 60000
    measured = look(pixels)
    values = torch.from_numpy(measured.coding.encode(pixels))[None, None]
    clean = fix_hot_pixels(values, measured.sigma)[0, 0]
    decoded = measured.coding.decode(clean.numpy(), pixels)
    assert max(int(decoded[place]) for place in hot) < 3000
    assert decoded[2, 2] > 3000
    assert float((clean != values[0, 0]).float().mean()) < 2e-3


def test_the_range_is_that_of_the_whole_stack() -> None:
    rng = np.random.default_rng(0)
    dark, bright = (rng.normal(value, 5, (64, 64)).astype(np.uint16) for value in (100, 900))
    planes = [
        (p.shape, lambda top, bottom, left, right, p=p: p[top:bottom, left:right])
        for p in (dark, bright)
    ]
    coding = calibrate(planes, dark.dtype).coding
    assert (coding.low, coding.high) == pytest.approx((84, 915), abs=5)


def test_a_blank_plane_hides_no_noise() -> None:
    clean = np.rint(camera((128, 128), 5, 200, 8)).astype(np.uint16)
    planes = [
        ((128, 128), lambda t, b, l, r, p=p: p[t:b, l:r])  # noqa: E741
        for p in (clean, np.full_like(clean, 150))
    ]
    found, wanted = calibrate(planes, clean.dtype), look(clean)
    assert found.sigma == pytest.approx(wanted.sigma, rel=0.05)


@pytest.mark.parametrize("photons", [0.05, 0.5, 3, 30])
def test_black_that_was_measured_is_no_padding(photons: float) -> None:
    rng = np.random.default_rng(3)
    counted = rng.poisson(photons, (128, 128)).astype(np.uint16)
    counted[:, :40] = 0
    offset = np.clip(rng.normal(0, 5, (128, 128)), 0, None).astype(np.float32)
    for pixels in (counted, offset) if photons < 20 else (offset,):
        assert look(pixels).coding.padding is None
