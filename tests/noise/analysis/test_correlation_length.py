from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mdn.noise.analysis.autocorrelation import correlation_length


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_mean_of_neighbours_reaches_as_far_as_it_is_wide(width: int) -> None:
    drawn = torch.randn(1, 1, 300, 300, generator=torch.Generator().manual_seed(width))
    smooth = F.avg_pool2d(drawn, width, 1)[0] if width > 1 else drawn[0]
    found = correlation_length(smooth + 3)
    assert found.pixels == width
    assert found.deviation == pytest.approx(1 / width, rel=0.2)


def test_structure_beside_flat_ground_is_not_noise() -> None:
    picture = torch.randn(1, 256, 256, generator=torch.Generator().manual_seed(0))
    picture[:, 100:200, 100:200] += 40 * torch.sin(torch.arange(100) / 3)
    assert correlation_length(picture).pixels == 1
