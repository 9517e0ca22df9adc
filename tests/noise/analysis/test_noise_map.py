"""How strong noise is at each pixel, from the brightness around it."""

from __future__ import annotations

import pytest
import torch

from mdn import noise
from mdn.noise.analysis.brightness import local_brightness, sigma_map


def ramp() -> torch.Tensor:
    """(1, 3, 64, 256): black on the left, white on the right."""
    return torch.linspace(0, 1, 256).expand(1, 3, 64, 256)


def test_brightness_is_that_of_the_picture_without_its_noise() -> None:
    noisy = noise.add(ramp(), "gaussian", 20, torch.Generator().manual_seed(0))
    assert float((local_brightness(noisy) - ramp()).abs().mean()) < 20 / 255 / 4
    assert float(local_brightness(noisy - 0.5).min()) == 0


@pytest.mark.parametrize(
    ("kind", "level", "curve"), [("speckle", 0.04, (0, 0, 0.04)), ("gaussian", 25, (0.0096, 0, 0))]
)
def test_it_is_as_strong_as_the_noise_there(kind: str, level: float, curve: tuple) -> None:
    added = noise.add(ramp(), kind, level, torch.Generator().manual_seed(0)) - ramp()
    told = sigma_map(ramp(), curve)
    assert told.shape == (1, 1, 64, 256)
    for left in (64, 128, 192):
        columns = slice(left, left + 32)
        assert float(told[..., columns].mean()) == pytest.approx(
            float(added[..., columns].std()), rel=0.05
        )


def test_a_pixel_far_away_has_no_part_in_it() -> None:
    x = torch.rand(1, 3, 32, 32)
    other = x.clone()
    other[..., 20:] = 0
    curve = (0.001, 0.01, 0.0)
    assert torch.equal(sigma_map(x, curve)[..., :17], sigma_map(other, curve)[..., :17])
