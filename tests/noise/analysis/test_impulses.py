"""Impulses are found in every place of a picture, its border included."""

import pytest
import torch

from mdn.noise.analysis import impulses

PLACES = [(0, 5), (19, 7), (4, 0), (9, 29), (0, 0), (19, 29), (10, 12)]


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_lone_samples_are_found_at_the_border_as_inside(end: float) -> None:
    page = torch.full((1, 3, 20, 30), 0.5)
    wanted = torch.zeros_like(page, dtype=torch.bool)
    for row, column in PLACES:
        wanted[0, 1, row, column] = True
    page[wanted] = end
    assert torch.equal(impulses.ends(page), wanted)
    assert torch.equal(impulses.impulse_mask(page, 0.05), wanted)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (3, 3)])
def test_tiny_pictures_and_flat_ones_have_none(shape: tuple[int, int]) -> None:
    page = torch.ones(1, 3, *shape)
    assert not impulses.ends(page).any()
    assert not impulses.impulse_mask(page, 0.05).any()
    assert torch.equal(impulses.fix_hot_pixels(page, 0.1), page)
