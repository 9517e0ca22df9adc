"""Banding taken out of a whole picture: same in tiles, mixed by strength, told of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdn import noise
from mdn.encoding import Display
from mdn.pipeline import destripe
from mdn.pipeline.sample import sample_for_estimation
from tests.pipeline import tools
from tests.pipeline.drawn import DRAWN
from tests.pipeline.test_multiscale import picture

ENCODE = Display(np.dtype(np.uint8)).encode


def page_of(kind: str, level: float, height: int = 200, width: int = 264) -> np.ndarray:
    clean = picture(max(height, width))[:, :height, :width]
    noisy = noise.add(clean, kind, level, torch.Generator().manual_seed(0)).clamp(0, 1)
    return (noisy * 255).round().byte().permute(1, 2, 0).numpy()


def denoised(page: np.ndarray, **options) -> np.ndarray:
    return tools.denoised(page, "generalist-s15", **options)


def error(page: np.ndarray) -> float:
    truth = picture(max(page.shape)).permute(1, 2, 0).numpy() * 255
    return float(((page - truth[: page.shape[0], : page.shape[1]]) ** 2).mean())


@pytest.mark.parametrize("kind", ["banding-rows", "banding-columns"])
def test_it_is_found_and_most_of_it_goes(kind: str) -> None:
    page = page_of(kind, 10.0)
    banding = destripe.find(page, ENCODE)
    assert banding is not None
    down, across = banding.sigma
    there, absent = (down, across) if kind == "banding-rows" else (across, down)
    assert 255 * there == pytest.approx(10, rel=0.25)
    assert absent == 0
    assert error(denoised(page)) < 0.2 * error(page)


@pytest.mark.parametrize("kind", ["gaussian", "spatial", "poisson", "jpeg"])
def test_no_other_noise_is_taken_for_it(kind: str) -> None:
    assert destripe.find(page_of(kind, noise.get(kind).default), ENCODE) is None


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("sigma", [0.0, 6.0])
def test_nothing_drawn_is_taken_for_it(name: str, sigma: float) -> None:
    white = np.random.default_rng(0).normal(0, sigma, DRAWN[name].shape)
    drawn = (DRAWN[name] + white).round().clip(0, 255).astype(np.uint8)
    assert destripe.find(drawn, ENCODE) is None
    assert destripe.find(drawn.transpose(1, 0, 2).copy(), ENCODE) is None


def test_tiles_agree_with_the_whole_and_strength_mixes() -> None:
    page = page_of("banding-rows", 12.0)
    whole, tiled, half = denoised(page), denoised(page, tile=128), denoised(page, strength=0.5)
    assert np.abs(whole.astype(int) - tiled).max() <= 2
    assert np.abs((whole.astype(int) + page) / 2 - half).max() <= 1


def test_what_is_estimated_of_a_large_picture_is_free_of_it() -> None:
    page = page_of("banding-rows", 10.0, 1100, 1000)
    banding = destripe.find(page, ENCODE)
    with_it, without = (sample_for_estimation(page, ENCODE, each) for each in (None, banding))
    assert with_it.shape == without.shape
    rough = [float((x[:, 1:] - x[:, :-1]).square().mean()) for x in (with_it, without)]
    assert rough[1] < 0.05 * rough[0]


def test_cut_off_samples_stay() -> None:
    page = page_of("banding-rows", 10.0)
    page[:, :20], page[:, 20:40] = 0, 255
    banding = destripe.find(page, ENCODE)
    clean = destripe.without(page, ENCODE, banding)
    assert np.array_equal(clean[:, :40] * 255, page[:, :40])
    assert not np.array_equal(clean[:, 40:] * 255, page[:, 40:])


def test_the_user_is_told() -> None:
    facts = tools.restored(page_of("banding-rows", 10.0), "generalist-s15").describe()
    rows = facts["noise"]["banding"]["rows"]  # type: ignore[index]
    assert rows == pytest.approx(10, rel=0.25)
    lines = facts["summary"]
    assert isinstance(lines, list)
    assert lines[0] == f"row banding of sigma {rows:.2g} taken out"
    assert lines[1].endswith("removed")


def drifting(sigma: float) -> tuple[np.ndarray, torch.Tensor]:
    """A page of Gaussian noise whose lines drift at random, and their offsets in 0..255."""
    fresh = torch.randn(200, generator=torch.Generator().manual_seed(5)).tolist()
    for row in range(1, 200):
        fresh[row] += 0.8 * fresh[row - 1]
    offsets = torch.tensor(fresh)
    offsets = (offsets - offsets.mean()) * (sigma / offsets.std())
    page = page_of("gaussian", 10) + offsets[:, None, None].numpy()
    return page.round().clip(0, 255).astype(np.uint8), offsets


def test_drift_of_the_lines_is_measured_and_how_much_is_left() -> None:
    page, true = drifting(10)
    bands, slow = destripe.add_drift(page, ENCODE, None)
    assert bands is not None
    assert bands.rows is not None
    left = 255 * bands.rows[0] - true
    assert float(left.std()) < 0.75 * float(true.std())
    assert 255 * slow**0.5 == pytest.approx(float(left.std()), rel=0.6)


@pytest.mark.parametrize("kind", ["gaussian", "spatial", "stripes", "speckle"])
def test_no_other_noise_drifts(kind: str) -> None:
    page = page_of(kind, 0.04 if kind == "speckle" else 25)
    assert destripe.add_drift(page, ENCODE, None) == (None, 0.0)


@pytest.mark.parametrize("period", [3.3, 5.0, 12.0, 40.0])
@pytest.mark.parametrize("angle", [0, 2, 90])
def test_gratings_and_bars_do_not_drift(period: float, angle: int) -> None:
    turn, (rows, columns) = np.deg2rad(angle), np.indices((192, 192))
    wave = np.sin(2 * np.pi * (rows * np.cos(turn) + columns * np.sin(turn)) / period)
    white = np.random.default_rng(0).normal(0, 15, (192, 192, 3))
    for shade in (128 + 76 * wave, 128 + 51 * np.sign(wave)):
        page = (shade[..., None] + white).round().clip(0, 255).astype(np.uint8)
        assert destripe.add_drift(page, ENCODE, None)[0] is None


def test_known_drift_is_measured_where_it_would_not_be_believed() -> None:
    page, _ = drifting(0.3)
    assert destripe.add_drift(page, ENCODE, None)[0] is None
    assert destripe.add_drift(page, ENCODE, None, known=True)[0] is not None
    assert destripe.add_drift(page[:, :60], ENCODE, None, known=True) == (None, 0.0)
