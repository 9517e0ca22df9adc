"""What is seen of a measured channel, against what was put into it."""

import numpy as np
import pytest
import torch

from mdn.noise.analysis.impulses import fix_hot_pixels
from mdn.pipeline.calibration import Calibration, calibrate
from mdn.pipeline.denoise_tiles import (
    pixel_shuffle_downsampled,
    pixel_shuffle_upsampled,
    without_seams,
)


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


@pytest.mark.parametrize(
    ("dtype", "gain", "pedestal", "read"),
    [
        (np.uint16, 5, 200, 8),
        (np.uint8, 0.6, 5, 1),
        (np.int16, 20, -500, 30),
        (np.float32, 1e-3, 0, 0),
    ],
)
def test_gain_and_offset_are_found(dtype: type, gain: float, pedestal: float, read: float) -> None:
    values = camera((384, 384), gain, pedestal, read)
    pixels = values.astype(dtype) if dtype is np.float32 else np.rint(values).astype(dtype)
    curve = look(pixels).coding.curve
    assert curve is not None
    # Every disc has an edge, which looks like noise.
    assert curve.gain == pytest.approx(gain, rel=0.35)
    bright = pedestal + 100 * gain
    wanted = gain**2 * 100 + read**2
    assert curve.gain * bright + curve.offset == pytest.approx(wanted, rel=0.35)


def test_the_noise_of_encoded_values_is_on_their_scale() -> None:
    clean = np.full((256, 256), 60.0)
    pixels = np.rint(5 * np.random.default_rng(0).poisson(clean) + 200).astype(np.uint16)
    measured = look(pixels)
    estimate = measured.noise.estimate
    assert estimate is not None
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


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_hot_pixels_hide_no_noise(dtype: type) -> None:
    clean = np.rint(camera((256, 256), 5, 200, 8)).astype(dtype)
    hot = np.random.default_rng(2).random(clean.shape) < 0.005
    found, wanted = look(np.where(hot, dtype(65535), clean)), look(clean)
    assert found.noise.blend_weight == 1
    assert found.sigma == pytest.approx(wanted.sigma, rel=0.1)
    assert found.coding.high == pytest.approx(wanted.coding.high, rel=0.1)


def test_the_range_is_that_of_the_whole_stack() -> None:
    rng = np.random.default_rng(0)
    dark, bright = (rng.normal(value, 5, (64, 64)).astype(np.uint16) for value in (100, 900))
    planes = [
        (p.shape, lambda top, bottom, left, right, p=p: p[top:bottom, left:right])
        for p in (dark, bright)
    ]
    coding = calibrate(planes, dark.dtype).coding
    assert (coding.low, coding.high) == pytest.approx((84, 915), abs=5)


def test_spaced_samples_come_back_in_their_places() -> None:
    ramp = torch.arange(18.0).expand(2, 1, 12, 18)
    small, origins = pixel_shuffle_downsampled(ramp, [(0, 0), (0, 5)], 3)
    assert (small.shape, len(origins)) == ((18, 1, 4, 6), 18)
    back = without_seams(pixel_shuffle_upsampled(small, 3), 3)
    assert torch.allclose(back[..., 1:-1], ramp[..., 1:-1])


def test_the_seams_between_spaced_pictures_do_not_come_through() -> None:
    batch = torch.rand(2, 1, 12, 18)
    small, _ = pixel_shuffle_downsampled(batch, [(0, 0)] * 2, 3)
    # The nine means differ from phase to phase.
    means = small.mean((2, 3), keepdim=True).expand_as(small).contiguous()
    even = without_seams(pixel_shuffle_upsampled(means, 3), 3)[:, :, 1:-1, 1:-1]
    assert torch.allclose(even, batch.mean((2, 3), keepdim=True).expand_as(even), atol=1e-5)


def test_smooth_noise_is_spaced() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(0, 90, (258, 258))
    smooth = sum(drawn[i : i + 256, j : j + 256] for i in range(3) for j in range(3)) / 9
    y, x = np.mgrid[:256, :256]
    pixels = np.rint(1000 + 300 * (np.hypot(y - 128, x - 128) < 60) + smooth).astype(np.uint16)
    assert look(pixels).spacing == 3


def padded(clean: np.ndarray) -> np.ndarray:
    """Turned a little, with black where it shows nothing."""
    y, x = np.mgrid[: clean.shape[0], : clean.shape[1]]
    return np.where(y + x // 4 < 60, clean.dtype.type(0), clean)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_padding_hides_no_noise_and_stays(dtype: type) -> None:
    clean = np.rint(camera((256, 256), 1, 100, 2)).astype(dtype)
    found, wanted, pixels = look(padded(clean)), look(clean), padded(clean)
    assert found.coding.padding == 0
    assert wanted.coding.padding is None
    assert found.sigma == pytest.approx(wanted.sigma, rel=0.1)
    values = found.encoded(pixels)
    assert values[pixels == 0][-20:].min() > values[pixels > 0].min() - 0.1
    decoded = found.coding.decode(values + 0.01, pixels)
    assert np.array_equal(decoded == 0, pixels == 0)


def test_a_blank_plane_hides_no_noise() -> None:
    clean = np.rint(camera((128, 128), 5, 200, 8)).astype(np.uint16)
    planes = [
        ((128, 128), lambda t, b, l, r, p=p: p[t:b, l:r])  # noqa: E741
        for p in (clean, np.full_like(clean, 150))
    ]
    found, wanted = calibrate(planes, clean.dtype), look(clean)
    assert found.sigma == pytest.approx(wanted.sigma, rel=0.05)


def test_samples_that_are_no_numbers_hide_no_noise() -> None:
    clean = camera((256, 256), 1, 100, 2).astype(np.float32)
    hidden = np.where(padded(clean) == 0, np.float32(np.nan), clean)
    found, wanted = look(hidden), look(clean)
    assert found.sigma == pytest.approx(wanted.sigma, rel=0.1)
    assert np.isfinite(found.encoded(hidden)).all()


@pytest.mark.parametrize("photons", [0.05, 0.5, 3, 30])
def test_black_that_was_measured_is_no_padding(photons: float) -> None:
    rng = np.random.default_rng(3)
    counted = rng.poisson(photons, (128, 128)).astype(np.uint16)
    counted[:, :40] = 0
    offset = np.clip(rng.normal(0, 5, (128, 128)), 0, None).astype(np.float32)
    for pixels in (counted, offset) if photons < 20 else (offset,):
        assert look(pixels).coding.padding is None
