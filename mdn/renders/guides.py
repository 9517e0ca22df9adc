"""Albedo and normals beside the tiles of a picture, for nets that take them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mdn.engine import Infer
from mdn.engine.tiles import reflected
from mdn.pipeline.restore_grain import grained
from mdn.pipeline.self_ensemble import turned

ALBEDO, NORMAL = slice(0, 3), slice(3, 6)
PLANES = 6


class Guides:
    """The guides of one picture.

    Args:
        planes: (H, W, G) float32, each about -1..1, zeros where there is none.
    """

    def __init__(self, planes: np.ndarray) -> None:
        self._planes = torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)))
        self.planes = self._planes.shape[0]

    def beside(self, batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        """(B, C, H, W) of tiles at these places -> (B, C + G, H, W).

        Beyond the picture they go on by reflection, as the engine lets the picture.
        """
        height, width = self._planes.shape[1:]
        parts = []
        for top, left in origins:
            rows = reflected(top, top + batch.shape[2], height)
            columns = reflected(left, left + batch.shape[3], width)
            parts.append(self._planes[:, rows[:, None], columns[None]])
        return torch.cat([batch, torch.stack(parts).to(batch)], 1)

    def answer(self, net: nn.Module, number: int, detail: float = 0.0) -> Infer:
        """One of the passes of a net that takes them; they are turned with the picture.

        detail: the share of the fine grain that is given back.
        """

        def plain(both: Tensor) -> Tensor:
            light, guide = both.split([both.shape[1] - self.planes, self.planes], 1)
            return net(light, guide=guide).float()

        upright = turned(plain, number)

        def infer(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
            return grained(batch, upright(self.beside(batch, origins)), detail)

        return infer
