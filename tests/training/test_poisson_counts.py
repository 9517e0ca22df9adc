"""Fluorescence to train on: what the net is shown, shown the net in use, and told of it."""

import pytest
import torch

from mdn.encoding.counts import SIGMAS
from mdn.errors import UsageError
from mdn.training import recipe_parse
from mdn.training.data import Crops
from mdn.training.degrade import draw_group, draw_stabilised

TABLE = {
    "name": "x",
    "arch": "unet",
    "net": {"channels": 1, "widths": [8, 8], "blocks": [1, 1], "noise_conditioned": True},
    "data": {"sources": ["x"], "crop": 64},
    "noise": [{"kind": "photons", "low": 10.0, "high": 60.0}],
    "optim": {"batch": 4, "groups": 2},
}


def clean() -> torch.Tensor:
    ramp = torch.linspace(0, 1, 96)
    return (ramp[:, None] * ramp[None]).expand(3, 1, 96, 96)


@pytest.mark.parametrize("sigma", [3.0, 20.0, 70.0])
def test_the_noise_is_even_unbiased_and_as_strong_as_told(sigma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    noisy, target, level = draw_stabilised(clean(), sigma, sigma, generator)
    residual = noisy - target
    assert float(residual.mean()) == pytest.approx(0, abs=0.03 * float(level.max()))
    for each, light, told in zip(residual, target, level, strict=True):
        bright = each[light >= light.quantile(0.9)]  # where there are few photons it is weaker
        assert float(bright.std()) == pytest.approx(float(told), rel=0.1 if sigma < 50 else 0.3)
    # The unit is the noise: the range of a picture is as large as its light is strong.
    assert level.flatten().tolist() == pytest.approx([1 / SIGMAS] * len(level))
    wide = (target.flatten(1).amax(1) - target.flatten(1).amin(1)).max()
    assert 0.3 * 255 / sigma < float(wide) * SIGMAS < 1.2 * 255 / sigma


def test_a_gray_net_is_given_gray_crops() -> None:
    made = recipe_parse.parse(TABLE)
    crops = Crops([torch.randint(0, 255, (3, 80, 80)).byte()], 64, torch.device("cpu"))
    sample = draw_group(made, crops, 0, 0)
    assert sample.noisy.shape == sample.clean.shape == (2, 1, 64, 64)
    assert sample.level.shape == (2, 1, 1, 1)
    again = draw_group(made, crops, 0, 0)
    assert torch.equal(sample.noisy, again.noisy)


def test_levels_out_of_reach_are_refused() -> None:
    with pytest.raises(UsageError, match="photons"):
        recipe_parse.parse(TABLE | {"noise": [{"kind": "photons", "low": 0.0, "high": 60.0}]})
