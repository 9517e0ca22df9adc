"""Blending a frame with the one before, along the motion vectors that the renderer wrote.

Renderers agree neither on the sign of their vectors nor on which frame they point to, so the sense
is measured: of the four senses (x and y, either sign) and of the first and the second pair of four
components, that which takes the frame before onto this one best.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F

from mdn.errors import FileError
from mdn.io.exr.layers import Layer
from mdn.renders.frame import Planned

SHARE = 0.5  # of the frame before, where it fits
TOLERANCE = 0.1  # relative difference at which it counts half


@dataclass
class PreviousFrame:
    """The frame before, as it was stored and as it was denoised."""

    _vectors: dict[str, np.ndarray] = field(default_factory=dict)  # by view
    _sense: tuple[int, int, int] | None = None
    _light: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)
    _noisy: np.ndarray | None = None
    _old_light: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)

    def next_frame(self, planned: Planned, *, follows: bool) -> None:
        """Begins a new frame.

        follows: whether it is the next one of the sequence; otherwise nothing is blended.

        Raises FileError: it has no motion vectors.
        """
        pairs = {view: _motion_vectors(planned, view) for view in {t.view for t in planned.targets}}
        vectors = {view: pair for view, pair in pairs.items() if pair is not None}
        if not vectors:
            raise FileError(planned.file.name, "has no motion vectors", "leave --motion out")
        noisy = np.nan_to_num(planned.targets[0].pixels(planned.file).astype(np.float32))
        old = self._noisy
        fits = follows and old is not None and old.shape == noisy.shape
        self._old_light = self._light if fits else {}
        self._light, self._noisy = {}, noisy
        self._vectors = vectors if fits else {}
        pair = vectors.get(planned.targets[0].view)
        if fits and old is not None and pair is not None and self._sense is None:
            self._sense = _sense(old, noisy, pair)

    def blend(self, layer: Layer, light: np.ndarray) -> np.ndarray:
        """A denoised layer (H, W, C), blended with itself in the frame before."""
        old = self._old_light.get((layer.part, layer.name))
        vectors = self._vectors.get(layer.view)
        if old is not None and vectors is not None and self._sense is not None:
            moved, inside = warped(old, _flow(vectors, self._sense))
            size = np.abs(light).mean(-1) + np.abs(moved).mean(-1) + 1e-3
            off = np.abs(light - moved).mean(-1) / size
            share = SHARE * inside / (1 + (off / TOLERANCE) ** 2)
            light = (light + share[..., None] * (moved - light)).astype(np.float32)
        self._light[layer.part, layer.name] = light
        return light


def _motion_vectors(planned: Planned, view: str) -> np.ndarray | None:
    """(H, W, 2 or 4) pixels of one view, from a layer or from single channels x and y."""
    vectors = [each for each in planned.found if (each.role, each.view) == ("motion", view)]
    if not vectors:
        return None
    planes = [layer.pixels(planned.file) for layer in vectors if layer.part == vectors[0].part]
    values = np.nan_to_num(np.concatenate(planes, -1).astype(np.float32), posinf=0, neginf=0)
    return values if values.shape[-1] >= 2 else None


def _flow(vectors: np.ndarray, sense: tuple[int, int, int]) -> np.ndarray:
    """(H, W, 2): where in the frame before each pixel was, relative to here."""
    start, x, y = sense
    return vectors[..., start : start + 2] * np.array([x, y], np.float32)


def _sense(old: np.ndarray, new: np.ndarray, vectors: np.ndarray) -> tuple[int, int, int]:
    starts = (0, 2) if vectors.shape[-1] >= 4 else (0,)
    senses = list(product(starts, (1, -1), (1, -1)))

    def misses(sense: tuple[int, int, int]) -> float:
        moved, inside = warped(old, _flow(vectors, sense))
        off = np.abs(np.arcsinh(moved) - np.arcsinh(new)).mean(-1)
        return float((off * inside).sum() / max(inside.sum(), 1))

    return min(senses, key=misses)


def warped(old: np.ndarray, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, C) of the frame before seen from this one, and (H, W) 1 where it was in the frame."""
    height, width, _ = old.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x + flow[..., 0], y + flow[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    grid = np.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    moved = F.grid_sample(
        torch.from_numpy(old.transpose(2, 0, 1)[None].copy()),
        torch.from_numpy(grid[None].astype(np.float32)),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return moved[0].numpy().transpose(1, 2, 0), inside.astype(np.float32)
