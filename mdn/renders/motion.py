"""Blending a frame with those before and after it, along the renderer's motion vectors.

Every frame is denoised by itself first, so that what comes out for one depends on the files around
it alone: not on which were done before, as a run that goes on does not do all of them.

Renderers agree neither on the sign of their vectors nor on which frame they point to, so the sense
is measured: of the four senses (x and y, either sign) and of the first and the second pair of four
components, that which takes the other frame onto this one best.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F

from mdn.errors import FileError
from mdn.io.exr.layers import Layer
from mdn.renders.frame import Cleaned, Planned

REACH = 2  # frames on each side
# Relative differences at which another frame counts half: of a pixel, and of the mean around it,
# which tells what noise left over in both would hide.
OF_A_PIXEL, OF_A_PLACE = 0.4, 0.12
PLACE = 7  # pixels a side of such a place
ENOUGH = 128  # rows, or columns, that the sense of the vectors is measured on
DARK = 1e-3  # light below which differences count no more, of the picture's mean
BRIGHTEST = 0.999  # quantile of the light, beyond which samples are alike when frames are compared


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a shot, denoised by itself."""

    planned: Planned
    cleaned: Cleaned

    def vectors(self, view: str) -> np.ndarray | None:
        """(H, W, 2 or 4) pixels of one view, from a layer or from single channels x and y."""
        layers = [
            layer for layer in self.planned.found if (layer.role, layer.view) == ("motion", view)
        ]
        planes = [
            layer.pixels(self.planned.file) for layer in layers if layer.part == layers[0].part
        ]
        if not planes:
            return None
        values = np.nan_to_num(np.concatenate(planes, -1).astype(np.float32), posinf=0, neginf=0)
        return values if values.shape[-1] >= 2 else None


def blended(own: Frame, others: Mapping[int, Frame]) -> dict[Layer, np.ndarray]:
    """The light of a frame's layers, each with itself in the frames around.

    others: by how far along they lie; negative ones came before.

    Raises FileError: the frame has no motion vectors.
    """
    views = {layer.view for layer in own.planned.targets}
    if all(own.vectors(view) is None for view in views):
        raise FileError(own.planned.file.name, "has no motion vectors", "leave --motion out")
    flows = {view: _flows(own, others, view) for view in views}
    return {
        layer: _layer(own, layer, {others[n]: flow for n, flow in flows[layer.view].items()})
        for layer in own.planned.targets
    }


def _flows(own: Frame, others: Mapping[int, Frame], view: str) -> dict[int, np.ndarray]:
    """(H, W, 2) by frame: where each pixel lies there, relative to here. Frame by frame."""
    flows: dict[int, np.ndarray] = {}
    for side in (-1, 1):
        near, total = own, None
        for step in range(1, REACH + 1):
            far = others.get(side * step)
            flow = None if far is None else _flow(near, far, view)
            if far is None or flow is None:
                break
            if total is not None:
                flow = total + warped(flow, total)[0]
            flows[side * step] = total = flow
            near = far
    return flows


def _flow(here: Frame, there: Frame, view: str) -> np.ndarray | None:
    """From one frame to the next, in the sense that fits both best; None where there is none."""
    vectors = here.vectors(view)
    layer = next((each for each in here.planned.targets if each.view == view), None)
    if vectors is None or layer is None:
        return None
    new, old = here.cleaned.light.get(layer), there.cleaned.light.get(layer)
    if new is None or old is None or new.shape != old.shape:
        return None
    starts = (0, 2) if vectors.shape[-1] >= 4 else (0,)
    flows = [
        vectors[..., start : start + 2] * np.array(signs, np.float32)
        for start, signs in product(starts, product((1, -1), repeat=2))
    ]
    most = max(float(np.quantile(new, BRIGHTEST)), 1e-6)
    new, old = (np.clip(light, 0, most) for light in (new, old))
    every = max(1, min(new.shape[:2]) // ENOUGH)

    def miss(flow: np.ndarray) -> float:
        moved, inside = warped(old, flow, every)
        off = np.abs(np.arcsinh(moved) - np.arcsinh(new[::every, ::every])).mean(-1)
        return float((off * inside).sum() / max(inside.sum(), 1))

    return min(flows, key=miss)


def _layer(own: Frame, layer: Layer, flows: Mapping[Frame, np.ndarray]) -> np.ndarray:
    """(H, W, C): the mean of the frames, each as far as it agrees with this one."""
    light = own.cleaned.light[layer]
    dark = DARK * max(float(np.abs(light).mean()), 1e-6)
    total, weight = light.astype(np.float64), np.ones(light.shape[:2])
    for frame, flow in flows.items():
        other = frame.cleaned.light.get(layer)
        if other is None or other.shape != light.shape:
            continue
        moved, inside = warped(other, flow)
        size = (np.abs(light) + np.abs(moved)).mean(-1) / 2
        pixel = np.abs(moved - light).mean(-1) / (size + dark)
        place = np.abs(_mean_around(moved - light)).mean(-1)
        place = place / (_mean_around(size[..., None])[..., 0] + dark)
        share = inside / (1 + (pixel / OF_A_PIXEL) ** 2 + (place / OF_A_PLACE) ** 2)
        total += share[..., None] * moved
        weight += share
    return (total / weight[..., None]).astype(np.float32)


def _mean_around(values: np.ndarray) -> np.ndarray:
    planes = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]
    edge = PLACE // 2
    wide = F.pad(planes, (edge,) * 4, mode="replicate")
    return F.avg_pool2d(wide, PLACE, stride=1)[0].numpy().transpose(1, 2, 0)


def warped(old: np.ndarray, flow: np.ndarray, every: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, C) of another frame seen from this one, and (H, W) 1 where it was in the frame.

    every: of the rows and columns; 2: of each second one.
    """
    height, width, _ = old.shape
    y, x = np.mgrid[0:height:every, 0:width:every].astype(np.float32)
    flow = flow[::every, ::every]
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
