"""Validation of a net for renders while it trains: PSNR on scenes that it does not train on."""

import torch
from torch import Tensor, nn

from mdn.errors import UsageError
from mdn.training.recipe import WatchRecipe
from mdn.training.renders import Scene, decode, encode

GAMMA = 2.2


class RenderWatch:
    """Mean PSNR in dB after clipping and gamma 2.2, one figure for each number of samples.

    A scene's render is compared with the mean of its other files, whose noise bounds the figure:
    compare it within one set of scenes only.

    Raises:
        UsageError: a scene lacks a render of the wanted number of samples.
    """

    title = "held-out training pictures, PSNR"

    def __init__(self, scenes: dict[str, Scene], recipe: WatchRecipe, device: torch.device) -> None:
        self.device, self.rows = device, recipe.rows
        self.clean = [_middle(scene, recipe.crop) for scene in list(scenes.values())]
        self.clean = self.clean[: recipe.pictures]
        for name, scene in scenes.items():
            if missing := {level for _, level in self.rows} - {float(n) for n in scene.spp[:-1]}:
                raise UsageError(f"{name}: has no render of {min(missing):g} samples per pixel")

    def names(self) -> list[str]:
        """Column names of the log."""
        return [f"{kind}-{level:g}" for kind, level in self.rows]

    @torch.no_grad()
    def measure(self, net: nn.Module, autocast: torch.autocast) -> dict[str, float]:
        """{row: mean PSNR}. Leaves the net in the mode it was in."""
        training = net.training
        net.eval()
        scores: dict[str, float] = {}
        for name, (_, level) in zip(self.names(), self.rows, strict=True):
            total = 0.0
            for scene in self.clean:
                files = (scene.spp.index(int(level)),)
                shown = scene.mean(files)[None].to(self.device)
                with autocast:
                    output = net(encode(shown[:, :3]), guide=shown[:, 3:]).float()
                wanted = scene.mean(scene.others(files))[:3].to(self.device)
                error = _tone(decode(output[0])) - _tone(wanted)
                total += -10 * torch.log10(error.square().mean()).item()
            scores[name] = total / len(self.clean)
        net.train(training)
        return scores


def _tone(light: Tensor) -> Tensor:
    return light.clamp(0, 1) ** (1 / GAMMA)


def _middle(scene: Scene, size: int) -> Scene:
    """(F, 9, size, size) of it, or less where it is smaller."""
    height, width = scene.planes.shape[2:]
    top, left = max(0, (height - size) // 2), max(0, (width - size) // 2)
    return Scene(scene.spp, scene.planes[..., top : top + size, left : left + size])
