"""Where a picture is exactly flat no noise can be: drawings stay, noisy pictures do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.judgement import coded, half_noisy
from benchmarks.subjects import contours, error_dither, line_art, pixel_art, screenshot, stars
from mdn.pipeline.classical import salt_and_pepper
from mdn.pipeline.exact import noise_free

SIDE = 96
SIGMA = 15 / 255  # that is claimed


def noisy(page: np.ndarray, sigma: float) -> np.ndarray:
    white = float(np.iinfo(page.dtype).max)
    drawn = page + np.random.default_rng(0).normal(0, sigma * white / 255, page.shape)
    return drawn.round().clip(0, white).astype(page.dtype)


@pytest.mark.parametrize("draw", [contours, line_art, pixel_art, screenshot])
def test_drawings_are_free_of_noise_until_some_is_added(draw) -> None:
    page = draw(SIDE)
    assert noise_free(page, SIGMA).mean() > 0.99
    for sigma in (1, 5, 50):
        assert not noise_free(noisy(page, sigma), sigma / 255).any()


def test_a_drawing_is_free_in_its_clean_half() -> None:
    page = half_noisy(screenshot(4 * SIDE))
    free = noise_free(page, SIGMA)
    assert free[:, : 2 * SIDE].mean() > 0.95
    assert not free[:, 2 * SIDE :].any()


def test_a_flat_gray_is_free_at_any_depth() -> None:
    for dtype, gray in (("uint8", 90), ("uint16", 23130), ("float32", 0.35)):
        page = np.full((40, 70, 1), gray, dtype)
        assert noise_free(page, SIGMA).all()
    assert noise_free(np.full((5, 3, 3), 7, np.uint8), SIGMA).shape == (5, 3)


def test_the_steps_of_stretched_or_shallow_samples_are_no_proof() -> None:
    page = np.full((64, 64, 1), 60, np.uint8)
    assert not noise_free(noisy(page, 4) // 4 * 4, 4 / 255).any()  # of 64 levels
    deep = noisy(page, 4).astype(np.uint16) * 257  # 8 bits, stored as 16
    assert not noise_free(deep, 4 / 255).any()


def test_what_a_codec_flattens_is_not_taken_for_a_drawing() -> None:
    rows, columns = np.mgrid[:128, :128] / 20
    hills = np.sin(rows)[..., None] * np.cos(columns)[..., None] * np.array([60, 50, 40]) + 120
    photo = coded(noisy(hills.astype(np.uint8), 6), 60)
    assert not noise_free(photo, 3 / 255).any()


def test_noise_on_a_black_ground_is_seen() -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    assert noise_free(black, SIGMA).all()
    for sigma in (5, 25, 60):
        assert not noise_free(noisy(black, sigma), sigma / 255).any()


@pytest.mark.parametrize("draw", [contours, error_dither, line_art, screenshot, stars])
def test_lines_dots_and_stars_are_no_salt_and_pepper(draw) -> None:
    assert salt_and_pepper(planes(draw(SIDE))) == 0


def test_salt_and_pepper_is_counted_where_both_are() -> None:
    page = np.full((200, 200, 3), 120, np.uint8)
    dice = np.random.default_rng(0).random(page.shape)
    page[dice < 0.005] = 0
    assert salt_and_pepper(planes(page)) == 0  # dust, or dead pixels
    page[dice > 0.995] = 255
    assert salt_and_pepper(planes(page)) == pytest.approx(0.01, rel=0.15)


def planes(page: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(page.copy()).permute(2, 0, 1) / 255


@pytest.mark.parametrize("share", [0.002, 0.004, 0.02])
def test_black_and_white_of_the_picture_itself_hide_no_salt_and_pepper(share: float) -> None:
    rng = np.random.default_rng(1)
    page = rng.normal(128, 8, (SIDE, SIDE, 3)).clip(1, 254)
    page[: SIDE // 4] = 255 * (rng.random((SIDE // 4, SIDE, 3)) < 0.9)  # glitter, leaves in the sun
    page[SIDE // 4 : SIDE // 3] = 0
    assert salt_and_pepper(planes(page.astype(np.uint8))) < 0.0005
    struck = rng.random(page.shape) < share
    page[struck] = 255 * rng.integers(0, 2, int(struck.sum()))
    assert salt_and_pepper(planes(page.astype(np.uint8))) == pytest.approx(share, rel=0.3)
