"""Validation while a net trains: PSNR on held-out pictures under fixed noise, seen and unseen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mdn import noise
from mdn.training.corrupt import generator_for
from mdn.training.recipe import WatchRecipe


class Watch:
    """PSNR in dB of a net on held-out pictures, one figure a row of the recipe.

    Noisy inputs are clipped and rounded to 8 bits, as files are; the output is clipped. The same
    noise is drawn each time, so that figures compare within and across runs.
    """

    def __init__(self, pictures: list[Tensor], recipe: WatchRecipe, device: torch.device) -> None:
        self.device = device
        fitting = [p for p in pictures if min(p.shape[1:]) >= recipe.crop]
        step = max(1, len(fitting) // recipe.pictures)  # spread over all sources
        self.clean = [_middle(p, recipe.crop).float() / 255 for p in fitting[::step]]
        self.clean = self.clean[: recipe.pictures]
        self.rows = recipe.rows if self.clean else ()

    def names(self) -> list[str]:
        """Column names of the log."""
        return [f"{kind}-{level:g}" for kind, level in self.rows]

    @torch.no_grad()
    def measure(self, net: nn.Module, autocast: torch.autocast) -> dict[str, float]:
        """{row: mean PSNR}. Leaves the net in the mode it was in."""
        training = net.training
        net.eval()
        levelled = getattr(net.config, "levelled", False)
        scores = {}
        for name, (kind, level) in zip(self.names(), self.rows, strict=True):
            total = 0.0
            for index, clean in enumerate(self.clean):
                generator = generator_for(0, index, 0)
                noisy = (noise.add(clean, kind, level, generator).clamp(0, 1) * 255).round() / 255
                batch = noisy[None].to(self.device)
                # What a levelled net is told here is the truth; in use it is an estimate.
                told = {"level": (noisy - clean).std().to(self.device)} if levelled else {}
                with autocast:
                    output = net(batch, **told).float().clamp(0, 1)[0].cpu()
                total += -10 * torch.log10((output - clean).square().mean()).item()
            scores[name] = total / len(self.clean)
        net.train(training)
        return scores


def _middle(picture: Tensor, size: int) -> Tensor:
    top, left = (picture.shape[1] - size) // 2, (picture.shape[2] - size) // 2
    return picture[:, top : top + size, left : left + size]
