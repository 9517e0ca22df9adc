"""Raw mosaics and dither: variance of each cell, number of values and mean against theory."""

from __future__ import annotations

import pytest
import torch

from mdn import noise
from mdn.noise.synthesis import unknown
from mdn.noise.synthesis.demosaic import bayer_masks
from tests.noise.synthesis.moments import SIDE, assert_moments, flat, generator


@pytest.mark.parametrize("value", [0.1, 0.5])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_mosaic_noise_is_in_the_cells_of_each_colour(value: float, channel: int) -> None:
    change = (noise.add(flat(value), "raw-mosaic", 40, generator()) - value)[channel]
    cells = bayer_masks(SIDE, SIDE)[channel].bool()
    assert not change[~cells].any()
    gain = unknown.GAINS[channel]
    assert_moments(change[cells], (40 / 255) ** 2 * (1.6 * gain * value + 0.2 * gain**2))


def test_the_level_is_the_deviation_of_green_at_mid_gray() -> None:
    change = noise.add(flat(0.5), "raw-mosaic", 40, generator())[1] - 0.5
    green = change[bayer_masks(SIDE, SIDE)[1].bool()]
    assert float(green.std()) * 255 == pytest.approx(40, rel=0.02)


def test_a_gray_mosaic_is_noisy_everywhere_most_in_red_cells() -> None:
    change = noise.add(torch.full((1, SIDE, SIDE), 0.5), "raw-mosaic", 40, generator())[0] - 0.5
    red, green, blue = (change[cells.bool()].std() for cells in bayer_masks(SIDE, SIDE))
    assert red > blue > green > 0


@pytest.mark.parametrize("value", [0.02, 0.35, 0.5])
def test_dither_keeps_the_mean_and_has_the_variance_of_its_share(value: float) -> None:
    y = noise.add(flat(value), "dither", 3, generator())
    share = value * 7 % 1
    assert_moments(y - value, share * (1 - share) / 49)


def test_dither_of_three_bits_has_eight_values_and_keeps_the_ends() -> None:
    x = torch.linspace(0, 1, 3 * 64 * 64).reshape(3, 64, 64)
    y = noise.add(x, "dither", 3, generator())
    assert len(y.unique()) == 8
    ends = torch.tensor([0.0, 1.0]).view(1, 1, 2).expand(3, 8, 2)
    assert torch.equal(noise.add(ends, "dither", 3, generator()), ends)
