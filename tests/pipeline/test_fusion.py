"""Neighbouring planes averaged in where they show the same, and nowhere else."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.pipeline import fusion

SIDE = 192


def texture(seed: int, side: int = SIDE, contrast: float = 4.0) -> Tensor:
    """(1, 1, side, side), as optics blur it; its unit is the noise."""
    x = torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(seed))
    for _ in range(3):
        x = F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
    return contrast * x / x.std()


def noise(seed: int, planes: int = 1, side: int = SIDE) -> Tensor:
    return torch.randn(1, planes, side, side, generator=torch.Generator().manual_seed(seed))


def inner(x: Tensor) -> Tensor:
    return x[..., 16:-16, 16:-16]


@pytest.mark.parametrize("way", [(0, 0), (3, -5), (-12, 8)])
def test_the_noise_left_is_what_the_share_says(way: tuple[int, int]) -> None:
    clean = texture(0)
    others = torch.cat([clean.roll(way, (2, 3))] * 4, 1) + noise(1, 4)
    result, share = fusion.fused(clean + noise(2), others, 1.0)
    left = inner(result - clean).square().mean().sqrt()
    assert float(inner(share).mean()) < 0.55
    assert float(left) == pytest.approx(float(inner(share.square()).mean().sqrt()), rel=0.12)


def test_the_unit_is_the_noise() -> None:
    clean = texture(3)
    plane, others = clean + noise(4), torch.cat([clean] * 2, 1) + noise(5, 2)
    once, twice = fusion.fused(plane, others, 1.0), fusion.fused(plane / 32, others / 32, 1 / 32)
    assert torch.equal(once[0] / 32, twice[0])
    assert torch.equal(once[1], twice[1])


def test_what_comes_or_goes_leaves_no_ghost() -> None:
    clean = texture(16, contrast=1.0)
    visitor = torch.zeros_like(clean)
    visitor[..., 80:110, 90:120] = 4.0
    for here, there in ((clean, clean + visitor), (clean + visitor, clean)):
        plane = here + noise(17)
        result, share = fusion.fused(plane, torch.cat([there] * 4, 1) + noise(18, 4), 1.0)
        place = (..., slice(84, 106), slice(94, 116))
        assert float((result - here)[place].mean().abs()) < 0.1
        assert float(share[place].mean()) > 0.9
        assert float(share[..., :40, :40].mean()) < 0.55


def test_a_tile_is_as_the_whole_bit_for_bit() -> None:
    side = 2 * fusion.REACH // 8 * 8 + 96
    clean = texture(22, side)
    plane, others = (
        clean + noise(23, 1, side),
        torch.cat([clean.roll((2, 3), (2, 3)), texture(24, side)], 1) + noise(25, 2, side),
    )
    whole = fusion.fused(plane, others, 1.0)
    tile = (..., slice(None), slice(None, side - 40))
    part = fusion.fused(plane[tile].contiguous(), others[tile].contiguous(), 1.0)
    sure = (..., slice(None), slice(None, side - 40 - fusion.REACH))
    for one, other in zip(whole, part, strict=True):
        assert torch.equal(one[sure], other[sure])
