"""What a noise-conditioned net is told of its noise."""

import pytest
import torch

from mdn.training import recipe_parse
from mdn.training.data import Crops
from mdn.training.degrade import Sample, draw_group

TABLE = {
    "name": "x",
    "arch": "unet",
    "net": {"widths": [8, 8], "blocks": [1, 1], "noise_conditioned": True},
    "data": {"sources": ["x"], "crop": 64},
    "noise": [{"kind": "speckle", "low": 0.04, "high": 0.04}],
    "optim": {"batch": 4, "groups": 2},
    "clip_share": 0.0,
}


def drawn(**changes: object) -> Sample:
    """Crops of which the left half is dark, and the right half bright."""
    picture = torch.full((3, 64, 64), 40, dtype=torch.uint8)
    picture[..., 32:] = 180
    made = recipe_parse.parse(TABLE | changes)
    crops = Crops([picture], 64, torch.device("cpu"))
    return draw_group(made, crops, 0, 0)


def test_the_level_that_is_told_is_that_of_the_noise() -> None:
    sample = drawn()
    assert sample.level.shape == (2, 1, 1, 1)
    added = sample.noisy - sample.clean
    assert float(sample.level[0]) == pytest.approx(float(added[0].std()), rel=0.02)
