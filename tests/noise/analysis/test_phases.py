"""Samples in some places of 2 x 2 pixels, made anew from the others."""

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


def test_a_raw_mosaic_written_as_gray_is_told_from_a_picture() -> None:
    page = torch.nn.functional.interpolate(shaded()[None], scale_factor=4.0, mode="bilinear")[0]
    raw = (page * torch.tensor([0.5, 1.0, 0.6])[:, None, None] * BAYER.repeat(1, 128, 128)).sum(0)
    for gray, mosaic in ((raw, True), (page[1], False), (page[1, :20, :20], False)):
        for kind in ("", "gaussian"):
            seen = noise.add(gray[None], kind, 10.0, torch.Generator())[0] if kind else gray
            assert phases.is_mosaic(seen) == mosaic


def test_what_a_wide_field_camera_leaves_of_its_filters_is_no_mosaic() -> None:
    page = torch.nn.functional.interpolate(shaded()[None], scale_factor=4.0, mode="bilinear")[0, 1]
    checks = 1 + 0.02 * (1 - 2 * ((torch.arange(256)[:, None] + torch.arange(256)) % 2))
    assert not phases.is_mosaic(page * checks)
    assert not phases.is_mosaic(4 * page * checks)  # of whatever range it is shown in
    coloured = 1 + 10 * (checks - 1)
    assert phases.is_mosaic(page * coloured)
