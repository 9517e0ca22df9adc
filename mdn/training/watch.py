"""Validation while a net trains: PSNR on pictures, or renders, that it does not train on."""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from mdn import nets, noise
from mdn.errors import UsageError
from mdn.training.data import load_pictures, middle
from mdn.training.degrade import IMPULSIVE, generator_for
from mdn.training.recipe import MaskRecipe, Recipe, WatchRecipe
from mdn.training.renders import Scene, decode, encode

GAMMA = 2.2  # that renders are compared behind

Pairs = list[tuple[Tensor, Tensor]]
"""Noisy pictures and what they should be: (3, H, W) uint8 each."""


def load_pairs(folder: Path) -> Pairs:
    """Of a folder with noisy/ and gt/, whose files have the same names.

    Raises UsageError: one of the two is missing, or their names differ.
    """
    noisy, clean = (load_pictures((part,), folder) for part in ("noisy", "gt"))
    names = [[Path(name).stem for name in part] for part in (noisy, clean)]
    if names[0] != names[1]:
        raise UsageError(f"{folder}: noisy/ and gt/ hold pictures of different names")
    return list(zip(noisy.values(), clean.values(), strict=True))


def _score(net: nn.Module, noisy: Tensor, clean: Tensor) -> float:
    """PSNR in dB, of 8 bits, of a net that judges the noise itself; the sides cut to fit it."""
    rows, columns = (side - side % 16 for side in noisy.shape[1:])
    output = net(noisy[None, :, :rows, :columns].float() / 255).float().clamp(0, 1)[0].cpu()
    error = (output * 255).round() - clean[:, :rows, :columns].float()
    return -10 * math.log10(float((error / 255).square().mean()) + 1e-12)


class Validation:
    """Mean PSNR in dB of a net, a figure for each row of a recipe."""

    title = "held-out training pictures, PSNR"
    rows: tuple[tuple[str, float], ...]

    def names(self) -> list[str]:
        """Column names of the log."""
        return [f"{kind}-{level:g}" for kind, level in self.rows]

    @torch.no_grad()
    def measure(self, net: nn.Module, autocast: torch.autocast) -> dict[str, float]:
        """{row: mean PSNR}. Leaves the net in the mode it was in."""
        training = net.training
        net.eval()
        scores = self._scores(net, autocast)
        net.train(training)
        return scores

    def _scores(self, net: nn.Module, autocast: torch.autocast) -> dict[str, float]:
        raise NotImplementedError


class Watch(Validation):
    """PSNR in dB of a net on held-out pictures, one figure a row of the recipe.

    Noisy inputs are clipped and rounded to 8 bits, as files are; the output is clipped. The same
    noise is drawn each time, so that figures compare within and across runs. For a net that learns
    to fill masks alone, the figures are those of the samples that such a mask hides.
    """

    def __init__(
        self,
        pictures: list[Tensor],
        recipe: Recipe,
        device: torch.device,
        pairs: dict[str, Pairs] | None = None,
    ) -> None:
        watch, self.pairs, self.device = recipe.watch, pairs or {}, device
        self.gray = recipe.channels == 1
        self.mask = recipe.mask if recipe.mask.alone else None
        fitting = [p for p in pictures if min(p.shape[1:]) >= watch.crop]
        step = max(1, len(fitting) // watch.pictures)  # spread over all sources
        chosen = fitting[::step][: watch.pictures]
        self.clean = [middle(p, watch.crop).float() / 255 for p in chosen]
        self.rows = watch.rows if self.clean else ()

    def names(self) -> list[str]:
        return super().names() + list(self.pairs)

    def _scores(self, net: nn.Module, autocast: torch.autocast) -> dict[str, float]:
        values = {
            name: [self._psnr(net, autocast, *row, index) for index in range(len(self.clean))]
            for name, row in zip(self.names(), self.rows, strict=False)
        }
        for name, pairs in self.pairs.items():
            with autocast:
                values[name] = [_score(net, noisy.to(self.device), clean) for noisy, clean in pairs]
        return {name: sum(figures) / len(figures) for name, figures in values.items()}

    def _psnr(
        self, net: nn.Module, autocast: torch.autocast, kind: str, level: float, index: int
    ) -> float:
        """Of one picture under one noise, in dB."""
        picture = self.clean[index]
        clean = picture.mean(0, keepdim=True) if self.gray else picture
        generator = generator_for(0, index, 0)
        noisy = (noise.add(clean, kind, level, generator).clamp(0, 1) * 255).round() / 255
        takes = nets.abilities(net)
        more: dict[str, Tensor] = {}
        if takes.takes_sigma and not takes.judges_noise:
            # The truth; in use it is an estimate, which leaves impulses out.
            more["level"] = ((noisy - clean).std() * (kind not in IMPULSIVE)).to(self.device)
        if self.mask:
            more["visible"] = _mask(self.mask, clean, generator).to(self.device)
        with autocast:
            output = net(noisy[None].to(self.device), **more).float().clamp(0, 1)[0].cpu()
        error = (output - clean).square()
        if self.mask:
            error = error[(more["visible"][0] == 0).cpu().expand_as(error)]
        return -10 * torch.log10(error.mean()).item()


def _mask(mask: MaskRecipe, clean: Tensor, generator: torch.Generator) -> Tensor:
    """(1, 1 or C, H, W): a mask of the middle ratio, of single samples where the recipe's are."""
    planes = clean.shape[0] if mask.samples > 0 else 1
    dice = torch.rand(1, planes, *clean.shape[1:], generator=generator)
    return (dice >= (mask.low + mask.high) / 2).float()


class RenderWatch(Validation):
    """Mean PSNR in dB after clipping and gamma 2.2, one figure for each number of samples.

    A scene's render is compared with the mean of its other files, whose noise bounds the figure:
    compare it within one set of scenes only.

    Raises UsageError: a scene lacks a render of the wanted number of samples.
    """

    def __init__(self, scenes: dict[str, Scene], recipe: WatchRecipe, device: torch.device) -> None:
        self.device, self.rows = device, recipe.rows
        self.clean = [_middle(scene, recipe.crop) for scene in list(scenes.values())]
        self.clean = self.clean[: recipe.pictures]
        for name, scene in scenes.items():
            if missing := {level for _, level in self.rows} - {float(n) for n in scene.spp[:-1]}:
                raise UsageError(f"{name}: has no render of {min(missing):g} samples per pixel")

    def _scores(self, net: nn.Module, autocast: torch.autocast) -> dict[str, float]:
        scores: dict[str, float] = {}
        for name, (_, level) in zip(self.names(), self.rows, strict=True):
            total = 0.0
            for scene in self.clean:
                files = (scene.spp.index(int(level)),)
                shown = scene.mean(files, prefiltered=True)[None].to(self.device)
                with autocast:
                    output = net(encode(shown[:, :3]), guide=shown[:, 3:]).float()
                target = scene.mean(scene.others(files))[:3].to(self.device)
                error = _tone(decode(output[0])) - _tone(target)
                total += -10 * torch.log10(error.square().mean()).item()
            scores[name] = total / len(self.clean)
        return scores


def _tone(light: Tensor) -> Tensor:
    return light.clamp(0, 1) ** (1 / GAMMA)


def _middle(scene: Scene, size: int) -> Scene:
    """The square of that side in its middle, or less where it is smaller."""
    height, width = scene.planes.shape[2:]
    top, left = max(0, (height - size) // 2), max(0, (width - size) // 2)
    return scene.cut(slice(top, top + size), slice(left, left + size))
