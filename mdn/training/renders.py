"""Renders to train on: a scene with few samples per pixel, and the same with others.

A folder holds SCENE_SPP.exr and SCENE_reference.exr, as `python -m benchmarks.scenes` makes them.
Each file was rendered with random samples of its own. So the net is shown any of them, alone or
averaged, and learns to give the mean of all others. That mean is noisy too, but independently, so
its noise averages out ("Noise2Noise", Lehtinen et al., ICML 2018): a reference need not be
converged, and the time goes into scenes.

`python -m benchmarks.teachers` adds to such files what makes better lessons: guides as they are
prefiltered in use, and the reference denoised by a teacher, which has far less noise.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mdn.encoding.hdr import MU, exposure
from mdn.errors import FileError, UsageError
from mdn.io import exr
from mdn.nets.masking import draw_seeds
from mdn.training import textures
from mdn.training.data import place
from mdn.training.degrade import Sample, generator_for
from mdn.training.recipe import Recipe
from mdn.training.textures import Textures, filtered

CHANNELS = ("R", "G", "B", *(f"albedo.{c}" for c in "RGB"), *(f"normal.{c}" for c in "XYZ"))
PREFILTERED = tuple(f"prefiltered.{name}" for name in CHANNELS[3:])
TEACHER = tuple(f"teacher.{name}" for name in CHANNELS[:3])
REFERENCE = "reference"
SPP = "samplesPerPixel"  # the attribute of a reference that says how many it is of
EXPOSURE = 4.0  # crops are exposed up to so many times as bright or dark, both ways together
RAW_GUIDES = 0.3  # share of the crops with guides as they were rendered, not prefiltered
NO_GUIDES = 0.15  # share of the crops that are shown without any guide..
ONE_GUIDE = 0.15  # ..and with the albedo, or the normal, alone


@dataclass(frozen=True)
class Scene:
    """One scene."""

    # samples per pixel of each of its files, ascending; the reference is one of them
    spp: tuple[int, ...]
    planes: Tensor  # (F, 9, H, W) of the files: linear light about middle gray, albedo, normal
    prefiltered: Tensor | None = None  # (F, 6, H, W): the guides without noise, where known
    teacher: Tensor | None = None  # (3, H, W): light as a teacher makes it of the reference

    def mean(self, files: tuple[int, ...], *, prefiltered: bool = False) -> Tensor:
        """(9, H, W) float32: what these files are together, each sample counting alike.

        prefiltered: with guides without noise, where they are known.
        """
        weights = torch.tensor([float(self.spp[at]) for at in files])
        chosen = self.planes[list(files)].float()
        if prefiltered and self.prefiltered is not None:
            chosen = torch.cat([chosen[:, :3], self.prefiltered[list(files)].float()], 1)
        return (chosen * (weights / weights.sum()).to(chosen)[:, None, None, None]).sum(0)

    def lesson(self, files: tuple[int, ...], taught: float, *, prefiltered: bool) -> Tensor:
        """(2, 9, H, W): what these files are together, and what they are to be compared with.

        taught: share of the teacher's light in that, where there is one.
        """
        others = self.mean(self.others(files), prefiltered=prefiltered)
        if self.teacher is not None:
            others[:3] += taught * (self.teacher.float() - others[:3])
        return torch.stack([self.mean(files, prefiltered=prefiltered), others])

    def cut(self, rows: slice, columns: slice) -> "Scene":
        """A part of it."""
        where = (..., rows, columns)
        more = (part if part is None else part[where] for part in (self.prefiltered, self.teacher))
        return Scene(self.spp, self.planes[where], *more)

    def shown(self) -> list[tuple[int, tuple[int, ...]]]:
        """(samples per pixel, files) of all that may be shown: never the largest file."""
        few = range(len(self.spp) - 1)
        sets = [files for size in few for files in combinations(few, size + 1)]
        return sorted((sum(self.spp[at] for at in files), files) for files in sets)

    def others(self, files: tuple[int, ...]) -> tuple[int, ...]:
        """The files that these are to be compared with."""
        return tuple(at for at in range(len(self.spp)) if at not in files)


def load_scenes(sources: tuple[str, ...], root: Path) -> dict[str, Scene]:
    """Every scene of the folders, by name.

    sources: folders of renders, relative to `root`.
    Raises UsageError: a folder is missing or holds no pair, or a file cannot be used.
    """
    scenes: dict[str, Scene] = {}
    for source in sources:
        folder = place(root, source)
        files: dict[str, list[Path]] = {}
        for path in sorted(folder.glob("*.exr")):
            files.setdefault(path.stem.rpartition("_")[0], []).append(path)
        complete = {name: _scene(paths) for name, paths in files.items() if len(paths) > 1}
        if not complete:
            raise UsageError(f"{folder}: no renders of one scene in it: SCENE_4.exr, SCENE_64.exr")
        scenes |= {f"{source}/{name}": scene for name, scene in complete.items()}
    return scenes


def _scene(paths: list[Path]) -> Scene:
    by_spp = dict(sorted(map(_read, paths), key=lambda file: file[0]))
    shapes = {planes.shape[1:] for planes in by_spp.values()}
    if len(shapes) > 1 or len(by_spp) < 2:
        raise UsageError(f"{paths[0]}: its scene has renders of other sizes, or all of one spp")
    files = [torch.from_numpy(array) for array in by_spp.values()]
    count, guided = len(CHANNELS), len(CHANNELS) + len(PREFILTERED)
    planes = torch.stack([file[:count] for file in files])
    scale = exposure(planes[-1, :3].numpy().transpose(1, 2, 0))
    planes[:, :3] *= scale
    planes[:, 3:].clamp_(-1, 2)
    prefiltered = None
    if all(len(file) >= guided for file in files):
        prefiltered = torch.stack([file[count:guided] for file in files]).clamp_(-1, 2)
    teacher = files[-1][guided:] * scale if len(files[-1]) > guided else None
    return Scene(tuple(by_spp), planes, prefiltered, teacher)


def _read(path: Path) -> tuple[int, np.ndarray]:
    """Samples per pixel, and (9, 15 or 18, H, W) float32; zeros for guides that are not there.

    Light, albedo and normal; prefiltered guides, and a teacher's light, as far as they are there.
    """
    try:
        file = exr.read(path)
    except FileError as error:
        raise UsageError(str(error)) from error
    number = path.stem.rpartition("_")[2]
    stated = file.headers.parts[0].attributes.get(SPP) if number == REFERENCE else None
    spp = int.from_bytes(stated[1], "little") if stated else int(number) if number.isdigit() else 0
    part = file.parts[0]
    if spp < 1 or any(name not in part for name in CHANNELS[:3]):
        raise UsageError(f"{path}: does not say its samples per pixel, or has no R, G and B")
    none = np.zeros_like(part["R"])
    names = list(CHANNELS)
    for more in (PREFILTERED, TEACHER):
        names += more if all(name in part for name in names[9:] + list(more)) else []
    planes = np.stack([part.get(name, none) for name in names]).astype(np.float32)
    return spp, np.nan_to_num(planes, posinf=0, neginf=0)


class Scenes:
    """Random crops of scenes in memory: flipped and turned, in other light, with fewer guides.

    textures: for detail that the scenes lack, or None.
    Raises UsageError: no scene is large enough.
    """

    def __init__(
        self,
        scenes: list[Scene],
        size: int,
        device: torch.device,
        textures: Textures | None = None,
    ) -> None:
        large = [scene for scene in scenes if min(scene.planes.shape[2:]) >= size]
        if not large:
            raise UsageError(f"every scene is smaller than the crop of {size} pixels")
        self.left_out = len(scenes) - len(large)
        self.size, self.device, self.pictures = size, device, large
        self.textures = textures

    def draw_group(self, recipe: Recipe, step: int, group: int) -> Sample:
        """The crops of one group: a function of the recipe's seed, the step and the group."""
        generator = generator_for(recipe.seed, step, group)
        count = recipe.optim.batch // recipe.optim.groups
        pairs = [self._pair(recipe, generator) for _ in range(count)]
        shown, others = (torch.stack(part).to(self.device) for part in zip(*pairs, strict=True))
        noisy, clean = encode(shown[:, :3]), encode(others[:, :3])
        seeds = draw_seeds(count, generator).to(self.device)
        return Sample(noisy, clean, None, None, seeds, guide=shown[:, 3:])

    def _pair(self, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        dice = torch.rand(10, generator=generator).tolist()
        if self.textures is not None and dice[8] < textures.ALONE:
            pair = self.textures.alone(generator)
        else:
            pair = self._of_scene(recipe, dice, generator)
        pair = pair.flip(3) if dice[4] < 0.5 else pair
        pair = torch.rot90(pair, int(dice[5] * 4), (2, 3))
        pair = _in_other_light(pair, dice[6], generator)
        pair[:, 3:] *= _guides_left(dice[7])[:, None, None]
        return pair[0], pair[1]

    def _of_scene(self, recipe: Recipe, dice: list[float], generator: torch.Generator) -> Tensor:
        """(2, 9, size, size): a crop as it is shown, and what it is to be compared with."""
        scene, rows = self.pictures[int(dice[0] * len(self.pictures))], recipe.noise
        weights = torch.tensor([row.weight for row in rows])
        row = rows[int(torch.multinomial(weights, 1, generator=generator))]
        goal = row.low * (row.high / row.low) ** dice[1]
        _, files = min(scene.shown(), key=lambda option: abs(math.log(option[0] / goal)))
        cut = self._cut(scene, dice[2], dice[3])
        pair = cut.lesson(files, recipe.data.teacher, prefiltered=dice[9] >= RAW_GUIDES)
        if self.textures is None:
            return pair
        return self.textures.lay(filtered(pair, generator), generator)

    def _cut(self, scene: Scene, down: float, across: float) -> Scene:
        height, width = scene.planes.shape[2:]
        top, left = int(down * (height - self.size + 1)), int(across * (width - self.size + 1))
        return scene.cut(slice(top, top + self.size), slice(left, left + self.size))


def encode(light: Tensor) -> Tensor:
    """As `encoding.hdr` shows light to a net, at the exposure that it has."""
    return torch.copysign(torch.log1p(MU * light.abs()) / math.log1p(MU), light)


def decode(values: Tensor) -> Tensor:
    """The way back from `encode`."""
    return torch.copysign(torch.expm1(values.abs() * math.log1p(MU)) / MU, values)


def _in_other_light(pair: Tensor, bright: float, generator: torch.Generator) -> Tensor:
    """Another exposure; the colours, in light and albedo alike, and the normals' axes in any order.

    Renderers do not agree on the axes of normals - of the world or of the camera, y or z up - so
    that the net must not rely on them. What two neighbours' normals have in common does not change.
    """
    order = torch.randperm(3, generator=generator)
    axes, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    light = pair[:, :3][:, order] * EXPOSURE ** (bright - 0.5)
    normal = torch.einsum("ij,bjhw->bihw", axes, pair[:, 6:])
    return torch.cat([light, pair[:, 3:6][:, order], normal], 1)


def _guides_left(dice: float) -> Tensor:
    """(6,): 1 for the planes of guides that stay, 0 for the others."""
    keep = torch.ones(6)
    if dice < NO_GUIDES + ONE_GUIDE / 2:
        keep[:3] = 0
    if dice < NO_GUIDES or NO_GUIDES + ONE_GUIDE / 2 <= dice < NO_GUIDES + ONE_GUIDE:
        keep[3:] = 0
    return keep
