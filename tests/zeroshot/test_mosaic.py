"""Noise in some places of 2 x 2 pixels only: that of a raw mosaic."""

from __future__ import annotations

import pytest
import torch

from mdn import noise
from mdn.noise.analysis.phases import filled, spread
from mdn.zeroshot import mosaic as detector
from tests.noise.analysis.test_phases import BAYER, mosaic, shaded


def test_the_cells_of_a_mosaic_are_told_apart() -> None:
    assert torch.equal(detector.excess(mosaic()) > 0, BAYER)
    white = noise.add(shaded(), "gaussian", 25.0, torch.Generator().manual_seed(0))
    assert not detector.excess(white).any()
    assert not detector.excess(shaded()).any()
    assert not detector.excess(torch.zeros(3, 4, 4)).any()


@pytest.mark.parametrize("brightness", [0.01, 0.94])
def test_cells_are_found_where_their_noise_is_cut_off_at_black_or_white(brightness: float) -> None:
    page = brightness + 0.05 * (shaded() - 0.5)
    noisy = noise.add(page, "raw-mosaic", 40.0, torch.Generator().manual_seed(0)).clamp(0, 1)
    assert torch.equal(detector.excess(noisy) > 0, BAYER)


def test_a_mosaic_of_which_green_does_not_show_is_completed() -> None:
    noisy = mosaic()
    noisy[1] = 0.98
    assert torch.equal(detector.excess(noisy) > 0, BAYER)
    noisy[2] = 0.98  # red lies in one place, and names the mosaic
    assert torch.equal(detector.excess(noisy) > 0, BAYER)
    green = torch.stack([noisy[2], mosaic()[1], noisy[2]])  # which two mosaics have alike
    assert torch.equal((detector.excess(green) > 0).any((1, 2)), torch.tensor([False, True, False]))


def test_noise_that_a_camera_spread_over_neighbours_is_no_mosaic() -> None:
    noisy = mosaic()
    error = detector.fill_error(noisy, BAYER)
    true = (filled(noisy[None], BAYER, [(0, 0)])[0] - shaded()).square().mean()
    assert error is not None
    assert 0.2 * float(true) < error < 5 * float(true)
    beside = (noisy.roll(1, 2) + noisy.roll(-1, 2)) / 2  # as interpolated from its row..
    above = (noisy.roll(1, 1) + noisy.roll(-1, 1)) / 2  # ..or its column
    marked = spread(BAYER, [(0, 0)], (64, 64))[0]
    inside = torch.where(marked.roll(1, 2), beside, above)
    camera = torch.where(marked, noisy, inside)
    assert (detector.excess(camera) > 0).any()
    assert detector.fill_error(camera, BAYER) is None
