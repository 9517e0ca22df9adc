"""Planes beside the tiles of a picture: albedo and normals for a net, or what is protected."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mdn.engine.tiles import reflected
from mdn.registry.model import Origins

ALBEDO, NORMAL = slice(0, 3), slice(3, 6)
PLANES = 6


class Guides:
    """Planes (H, W, G) float32 of one picture; a net's are about -1..1, 0 where there is none."""

    def __init__(self, planes: np.ndarray) -> None:
        self.planes = torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)))

    def beside(self, tiles: Tensor, origins: Origins) -> Tensor:
        """(B, C, H, W) of tiles at these places -> (B, G, H, W).

        Beyond the picture they go on by reflection, as the engine lets the picture.
        """
        height, width = self.planes.shape[1:]
        parts = []
        for top, left in origins:
            rows = reflected(top, top + tiles.shape[2], height)
            columns = reflected(left, left + tiles.shape[3], width)
            parts.append(self.planes[:, rows[:, None], columns[None]])
        return torch.stack(parts).to(tiles)
