"""What is seen of a measured channel, against what was put into it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdn.stacks.calibration import Measured, measure, mending, spaced


def camera(
    shape: tuple[int, int], gain: float, pedestal: float, read: float, seed: int = 0
) -> np.ndarray:
    """Discs of light on the dark, counted and read out, float64 before rounding."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    photons = 4 + 60 * (np.hypot(y % 64 - 32, x % 64 - 32) < 22) * (1 + (x // 64) % 3)
    return gain * rng.poisson(photons) + pedestal + read * rng.standard_normal(shape)


def look(pixels: np.ndarray) -> Measured:
    plane = (pixels.shape, lambda top, bottom, left, right: pixels[top:bottom, left:right])
    return measure([plane], pixels.dtype)


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
    assert curve.gain == pytest.approx(gain, rel=0.2)
    bright = pedestal + 100 * gain
    wanted = gain**2 * 100 + read**2
    assert curve.gain * bright + curve.offset == pytest.approx(wanted, rel=0.2)


def test_hot_and_dead_pixels_are_mended_and_points_of_light_are_not() -> None:
    pixels = np.rint(camera((256, 256), 5, 200, 8)).astype(np.uint16)
    y, x = np.mgrid[:256, :256]
    pixels = pixels + (4000 * np.exp(-((y - 2) ** 2 + (x - 2) ** 2) / 2)).astype(np.uint16)
    rng = np.random.default_rng(1)
    hot = [(int(a), int(b)) for a, b in rng.integers(8, 248, (20, 2))]
    for place in hot:
        pixels[place] = 60000
    measured = look(pixels)
    values = torch.from_numpy(measured.coding.encode(pixels))[None, None]
    clean = mending(lambda batch, origins: batch, [measured])(values, [(0, 0)])[0, 0]
    decoded = measured.coding.decode(clean.numpy(), pixels)
    assert max(int(decoded[place]) for place in hot) < 3000
    assert decoded[2, 2] > 3000
    assert float((clean != values[0, 0]).float().mean()) < 2e-3


def test_the_range_is_that_of_the_whole_stack() -> None:
    dark, bright = (np.full((64, 64), value, np.uint16) for value in (100, 900))
    planes = [
        (p.shape, lambda top, bottom, left, right, p=p: p[top:bottom, left:right])
        for p in (dark, bright)
    ]
    coding = measure(planes, dark.dtype).coding
    assert (coding.low, coding.high) == (100, 900)


def test_spaced_samples_come_back_in_their_places() -> None:
    batch = torch.rand(2, 1, 12, 18)
    seen: list[tuple[int, ...]] = []

    def infer(small: torch.Tensor, origins: list[tuple[int, int]]) -> torch.Tensor:
        seen.append((*small.shape, len(origins)))
        return small

    ramp = torch.arange(18.0).expand(2, 1, 12, 18)
    back = spaced(infer, 3)(ramp, [(0, 0), (0, 5)])
    assert torch.allclose(back[..., 1:-1], ramp[..., 1:-1])
    assert seen == [(18, 1, 4, 6, 18)]
    # Each small picture is made of every third sample.
    got = spaced(lambda small, _: small.mean((2, 3), keepdim=True).expand_as(small), 3)
    even = got(batch, [(0, 0)] * 2)[:, :, 1:-1, 1:-1]
    # The nine means differ from phase to phase; that pattern does not come through.
    assert torch.allclose(even, batch.mean((2, 3), keepdim=True).expand_as(even), atol=1e-5)


def test_smooth_noise_is_spaced() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(0, 90, (258, 258))
    smooth = sum(drawn[i : i + 256, j : j + 256] for i in range(3) for j in range(3)) / 9
    y, x = np.mgrid[:256, :256]
    pixels = np.rint(1000 + 300 * (np.hypot(y - 128, x - 128) < 60) + smooth).astype(np.uint16)
    assert look(pixels).spacing == 3
