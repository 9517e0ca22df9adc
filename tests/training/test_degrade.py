"""What a noise-conditioned net is told of noise that depends on brightness."""

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


def test_one_level_is_told_unless_the_recipe_wants_maps() -> None:
    sample = drawn()
    assert sample.level.shape == (2, 1, 1, 1)
    added = sample.noisy - sample.clean
    assert float(sample.level[0]) == pytest.approx(float(added[0].std()), rel=0.02)


def test_a_map_is_as_strong_as_the_noise_at_each_pixel() -> None:
    sample = drawn(level_map=1.0)
    assert sample.level.shape == (2, 1, 64, 64)
    for clean, noisy, told in zip(sample.clean, sample.noisy, sample.level, strict=True):
        for chosen in (clean < 0.3, clean > 0.5):
            strength = float((noisy - clean)[chosen].std())
            assert float(told[chosen[:1]].mean()) == pytest.approx(strength, rel=0.15)


def test_white_noise_is_told_by_one_level_all_the_same() -> None:
    white = [{"kind": "gaussian", "low": 20.0, "high": 20.0}]
    assert drawn(level_map=1.0, noise=white).level.shape == (2, 1, 1, 1)
