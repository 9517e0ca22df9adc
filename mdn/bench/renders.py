"""Renders: SCENE_SPP.exr at several samples per pixel, and each scene's reference.

The beauty is linear light; albedo and normal, where a file has them, guide those who can use them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdn.errors import FileError
from mdn.io import exr

_NAME = re.compile(r"(?P<scene>.+?)[_-](?P<spp>\d+)(?:spp)?")
_REFERENCE = re.compile(r"(?P<scene>.+?)[_-](?:ref|reference|gt)")


@dataclass(frozen=True)
class Render:
    """One render."""

    beauty: np.ndarray  # (H, W, 3) float32, linear light
    albedo: np.ndarray | None = None  # the same shape
    normal: np.ndarray | None = None
    file: exr.Exr | None = None  # what it was read from, or None


@dataclass(frozen=True)
class Pair:
    """A noisy render and its reference; spp: samples per pixel of the noisy one."""

    scene: str
    spp: int
    noisy: Path
    reference: Path


def find_pairs(files: Iterable[Path]) -> tuple[list[Pair], list[Path]]:
    """All pairs among EXR files, by scene and spp, and the files of scenes that have no pair.

    A scene's reference is SCENE_reference.exr (or _ref, _gt), else its largest number of samples.
    Nothing at all where no name says its samples per pixel.
    """
    scenes: dict[str, dict[int, Path]] = {}
    references: dict[str, Path] = {}
    for path in sorted(files):
        if match := _NAME.fullmatch(path.stem):
            scenes.setdefault(match["scene"], {})[int(match["spp"])] = path
        elif match := _REFERENCE.fullmatch(path.stem):
            references[match["scene"]] = path
    pairs: list[Pair] = []
    alone = [path for scene, path in references.items() if scene not in scenes]
    for scene, by_spp in scenes.items():
        reference = references.get(scene) or by_spp[max(by_spp)]
        noisy = [(spp, path) for spp, path in sorted(by_spp.items()) if path != reference]
        pairs += [Pair(scene, spp, path, reference) for spp, path in noisy]
        alone += [] if noisy else [reference]
    return pairs, alone if scenes else []


def read(path: Path, name: str) -> Render:
    """The beauty of an EXR file, and albedo and normal where it has layers of these names.

    Raises FileError: unreadable, or without R, G and B.
    """
    file = exr.read(path, name=name)
    channels = {channel.lower(): plane for channel, plane in file.parts[0].items()}
    beauty = _layer(channels, "", "RGB")
    if beauty is None:
        raise FileError(name, "has no channels R, G and B", "render its beauty into them")
    guides = _layer(channels, "albedo.", "RGB"), _layer(channels, "normal.", "XYZ")
    return Render(beauty, *guides, file)


def _layer(channels: dict[str, np.ndarray], prefix: str, names: str) -> np.ndarray | None:
    planes = [channels.get(f"{prefix}{letter}".lower()) for letter in names]
    if any(plane is None for plane in planes):
        return None
    return np.stack(planes, -1).astype(np.float32)  # type: ignore[arg-type]


GAMMA = 2.2


def encode(linear: np.ndarray) -> np.ndarray:
    """Linear light -> float32 as display nets know it: gamma 2.2, not clipped above."""
    values = np.nan_to_num(linear.astype(np.float32), nan=0, posinf=65504, neginf=0)
    return np.maximum(values, 0) ** np.float32(1 / GAMMA)


def decode(shown: np.ndarray) -> np.ndarray:
    """The way back from `encode`."""
    return np.maximum(shown, 0) ** np.float32(GAMMA)
