"""Neighbouring planes averaged in where they show the same, and nowhere else."""

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
