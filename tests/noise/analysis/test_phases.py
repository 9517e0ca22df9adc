"""Noise in some places of 2 x 2 pixels only, and samples made anew from the others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mdn import noise
from mdn.noise.analysis import phases

BAYER = torch.tensor([[[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]]).bool()


def shaded() -> Tensor:
    across = torch.linspace(0, 5, 64).expand(64, -1)
    shade = 0.5 + 0.3 * torch.sin(across) * torch.cos(across.T)
    return torch.stack([shade, 0.9 * shade, 0.1 + 0.7 * shade])


def mosaic() -> Tensor:
    return noise.add(shaded(), "raw-mosaic", 40.0, torch.Generator().manual_seed(0))


def test_the_cells_of_a_mosaic_are_told_apart() -> None:
    assert torch.equal(phases.excess(mosaic()) > 0, BAYER)
    white = noise.add(shaded(), "gaussian", 25.0, torch.Generator().manual_seed(0))
    assert not phases.excess(white).any()
    assert not phases.excess(shaded()).any()
    assert not phases.excess(torch.zeros(3, 4, 4)).any()


@pytest.mark.parametrize("brightness", [0.01, 0.94])
def test_cells_are_found_where_their_noise_is_cut_off_at_black_or_white(brightness: float) -> None:
    page = brightness + 0.05 * (shaded() - 0.5)
    noisy = noise.add(page, "raw-mosaic", 40.0, torch.Generator().manual_seed(0)).clamp(0, 1)
    assert torch.equal(phases.excess(noisy) > 0, BAYER)


def test_a_mosaic_of_which_green_does_not_show_is_completed() -> None:
    noisy = mosaic()
    noisy[1] = 0.98
    assert torch.equal(phases.excess(noisy) > 0, BAYER)
    noisy[2] = 0.98  # red lies in one place, and names the mosaic
    assert torch.equal(phases.excess(noisy) > 0, BAYER)
    green = torch.stack([noisy[2], mosaic()[1], noisy[2]])  # which two mosaics have alike
    assert torch.equal((phases.excess(green) > 0).any((1, 2)), torch.tensor([False, True, False]))


def test_noise_that_a_camera_spread_over_neighbours_is_no_mosaic() -> None:
    noisy = mosaic()
    error = phases.fill_error(noisy, BAYER)
    true = (phases.filled(noisy[None], BAYER, [(0, 0)])[0] - shaded()).square().mean()
    assert error is not None
    assert 0.2 * float(true) < error < 5 * float(true)
    beside = (noisy.roll(1, 2) + noisy.roll(-1, 2)) / 2  # as interpolated from its row..
    above = (noisy.roll(1, 1) + noisy.roll(-1, 1)) / 2  # ..or its column
    marked = phases.spread(BAYER, [(0, 0)], (64, 64))[0]
    inside = torch.where(marked.roll(1, 2), beside, above)
    camera = torch.where(marked, noisy, inside)
    assert (phases.excess(camera) > 0).any()
    assert phases.fill_error(camera, BAYER) is None


def test_samples_are_made_anew_and_the_others_stay() -> None:
    noisy = mosaic()
    made = phases.filled(noisy[None], BAYER, [(0, 0)])[0]
    assert float((made - shaded()).abs().max()) < 0.02
    marked = phases.spread(BAYER, [(0, 0)], (64, 64))[0]
    assert torch.equal(made[~marked], noisy[~marked])


def test_a_tile_that_begins_at_an_odd_pixel_is_filled_as_the_whole() -> None:
    whole = phases.filled(mosaic()[None], BAYER, [(0, 0)])[0]
    tile = phases.filled(mosaic()[None, :, 5:41, 7:43], BAYER, [(5, 7)])[0]
    assert torch.equal(tile[:, 1:-1, 1:-1], whole[:, 6:40, 8:42])


def test_what_has_no_believed_neighbours_cannot_be_filled() -> None:
    assert phases.fillable(BAYER)
    assert not phases.fillable(torch.ones(1, 2, 2).bool())


def test_a_raw_mosaic_written_as_gray_is_told_from_a_picture() -> None:
    page = torch.nn.functional.interpolate(shaded()[None], scale_factor=4.0, mode="bilinear")[0]
    raw = (page * torch.tensor([0.5, 1.0, 0.6])[:, None, None] * BAYER.repeat(1, 128, 128)).sum(0)
    for gray, mosaic in ((raw, True), (page[1], False), (page[1, :20, :20], False)):
        for kind in ("", "gaussian"):
            seen = noise.add(gray[None], kind, 10.0, torch.Generator())[0] if kind else gray
            assert phases.is_mosaic(seen) == mosaic
