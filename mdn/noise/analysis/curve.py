"""A curve on brightness, straight between its knots."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Curve:
    """What a denoiser makes of a brightness, and what it should be: both increasing, 0..1."""

    seen: tuple[float, ...]
    meant: tuple[float, ...]

    def corrected(self, y: Tensor) -> Tensor:
        """Denoised samples of any shape; beyond the ends the last change goes on."""
        seen, meant = (torch.tensor(v, device=y.device) for v in (self.seen, self.meant))
        inside = y.clamp(self.seen[0], self.seen[-1])
        right = torch.searchsorted(seen, inside.contiguous()).clamp(1, len(seen) - 1)
        part = (inside - seen[right - 1]) / (seen[right] - seen[right - 1])
        return meant[right - 1] + part * (meant[right] - meant[right - 1]) + (y - inside)
