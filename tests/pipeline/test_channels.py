"""Whether a gray picture is counted light: by its samples, in whichever unit they are stored."""

import numpy as np
import pytest

from mdn.encoding import Stretched
from mdn.pipeline.channels import Channel, read_channel
from mdn.pipeline.in_memory import planes_of
from mdn.pipeline.models import Models

SIDE = 256


def read(page: np.ndarray, encoding: str = "auto") -> Channel:
    planes = planes_of(page[None, ..., None], 0)
    return read_channel(planes, page.dtype, encoding, Models(device="cpu"))


def cells(photons: float, seed: int = 0) -> np.ndarray:
    """(SIDE, SIDE) photons of soft blobs, noisy."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    light = np.full((SIDE, SIDE), 0.2)
    for top, left, size in zip(*rng.uniform(0, SIDE, (2, 24)), rng.uniform(6, 18, 24), strict=True):
        light += np.exp(-((y - top) ** 2 + (x - left) ** 2) / (2 * size**2))
    return rng.poisson(photons * light)


def texture(seed: int = 0) -> np.ndarray:
    """(SIDE, SIDE) 0..255: leaves that cover one another, without noise."""
    rng = np.random.default_rng(seed)
    page = np.full((SIDE, SIDE), 128.0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for _ in range(900):
        top, left, size = *rng.uniform(0, SIDE, 2), rng.uniform(2, 14)
        page[np.hypot(y - top, x - left) < size] = rng.uniform(30, 220)
    return page


@pytest.mark.parametrize("photons", [2, 20, 100])
def test_counted_light_in_any_unit(photons: float) -> None:
    stored = cells(photons)
    units = [
        stored.astype(np.uint16),
        (16 * stored + 100).astype(np.uint16),
        stored.astype(np.float32),
        (stored / 1000).astype(np.float32),
        stored.astype(np.int32),
    ]
    if stored.max() < 256:
        units.append(stored.astype(np.uint8))
    for page in units:
        channel = read(page)
        assert channel.calibration is not None, page.dtype
        curve = channel.calibration.coding.curve
        step = 16 if page.min() >= 100 else page.max() / stored.max()
        assert curve.gain / step == pytest.approx(1, rel=0.35)


@pytest.mark.parametrize("noise", [0, 12])
def test_a_picture_of_texture_is_shown(noise: float) -> None:
    page = texture() + np.random.default_rng(1).normal(0, max(noise, 0.3), (SIDE, SIDE))
    channel = read(page.clip(0, 255).astype(np.uint8))
    assert channel.calibration is None
    assert isinstance(channel.stretch, Stretched)


def test_blurred_noise_on_texture_is_shown() -> None:
    rng = np.random.default_rng(2)
    drawn = rng.normal(0, 36, (SIDE + 2, SIDE + 2))
    smooth = sum(drawn[i : i + SIDE, j : j + SIDE] for i in range(3) for j in range(3)) / 9
    assert read((texture() + smooth).clip(0, 255).astype(np.uint8)).calibration is None


def test_stars_do_not_hide_the_noise_of_the_sky() -> None:
    rng = np.random.default_rng(3)
    sky = rng.normal(280, 20, (SIDE, SIDE))
    y, x = np.mgrid[:SIDE, :SIDE]
    for top, left, light in zip(
        *rng.uniform(4, SIDE - 4, (2, 60)), rng.uniform(500, 4e4, 60), strict=True
    ):
        sky += light * np.exp(-((y - top) ** 2 + (x - left) ** 2) / 2)
    channel = read(sky.clip(0, 65535).astype(np.uint16))
    curve = channel.calibration.coding.curve
    assert curve.offset**0.5 == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (np.full((64, 64), 7, np.uint16), "areas of exactly one value"),
        (np.zeros((2, 300), np.uint16) + np.arange(300, dtype=np.uint16), "too small"),
        ((np.mgrid[:64, :64][0] // 16 * 5).astype(np.uint16), "areas of exactly one value"),
    ],
)
def test_what_has_no_noise_says_so(page: np.ndarray, words: str) -> None:
    calibration = read(page).calibration
    assert calibration.sigma == 0
    assert words in calibration.in_words()


def test_smooth_data_has_no_noise_from_pixel_to_pixel() -> None:
    ramp = np.linspace(0, 1, SIDE, dtype=np.float32) * np.ones((SIDE, 1), np.float32)
    assert read(ramp, "counts").calibration.sigma == 0
