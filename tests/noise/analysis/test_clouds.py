"""Clouds of colour are told from white noise and from a picture's own colours."""

from __future__ import annotations

import torch
from torch import Tensor

from mdn import noise
from mdn.noise.analysis import clouds


def scene() -> Tensor:
    across = torch.linspace(0, 9, 256).expand(256, -1)
    shade = 0.5 + 0.2 * torch.sin(across) * torch.cos(across.T)
    return torch.stack([shade, 1 - shade, 0.2 + 0.5 * shade])


def test_clouds_are_found_where_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    assert clouds.halvings(noise.add(scene(), "colour-blotches", 15.0, generator)) >= 2
    assert clouds.halvings(scene()) == 0
    assert clouds.halvings(noise.add(scene(), "gaussian", 40.0, generator)) == 0
    assert clouds.halvings(scene()[:1]) == 0
    assert clouds.halvings(scene()[:, :40, :40]) == 0
