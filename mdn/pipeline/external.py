"""Denoisers of others behind the route of renders, and mixtures with them."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.encoding import Hdr
from mdn.nets.mixer import Mixer
from mdn.nets.oidn import OpenImageDenoise
from mdn.pipeline import windows
from mdn.pipeline.denoise_tiles import ALBEDO, NORMAL
from mdn.registry import store
from mdn.registry.model import Model, load_model

GUIDING = "oidn"  # the model that denoises guides, where it is there
BLOCK = 512  # pixels a side that a mixture is computed in
AGREEMENT = 2 / 3  # correlation of neighbours from which a difference is all structure


def restore(
    light: np.ndarray, model: Model, auxiliary: np.ndarray | None, *, clean: bool
) -> np.ndarray:
    """Linear light (H, W, C) by an external model; auxiliary and clean as for `linear.restore`."""
    assert isinstance(model.net, OpenImageDenoise)
    gray = light.shape[-1] == 1
    colours = np.repeat(light, 3, -1) if gray else light
    albedo, normal = (None if auxiliary is None else _plane(auxiliary, k) for k in (ALBEDO, NORMAL))
    result = model.net.light(colours, albedo, normal, clean)
    return result.mean(-1, keepdims=True) if gray else result


def _plane(auxiliary: np.ndarray, where: slice) -> np.ndarray | None:
    planes = auxiliary[..., where]
    return planes if planes.any() else None


def guide_model() -> Model | None:
    """What denoises guides; None where it is not installed."""
    if GUIDING not in store.names() or store.missing(card := store.find(GUIDING)):
        return None
    return load_model(card, torch.device("cpu"))


def clean_guides(auxiliary: np.ndarray, model: Model | None) -> np.ndarray:
    """Albedo and normal (H, W, 6), each denoised alone; planes that are empty stay so.

    By the model that denoises guides, or, where there is none, by a median of 3 x 3 pixels as far
    as they are noisy: what motion blur leaves in guides is single pixels of another surface.
    """
    result = auxiliary.copy()
    for kind, where in (("albedo", ALBEDO), ("normal", NORMAL)):
        if (planes := _plane(auxiliary, where)) is None:
            continue
        if model is None:
            result[..., where] = _smoothed(planes)
        else:
            assert isinstance(model.net, OpenImageDenoise)
            result[..., where] = model.net.guide(planes, kind)
    return result


def _smoothed(planes: np.ndarray) -> np.ndarray:
    """A guide less what its 3 x 3 median takes out, as far as that is drawn anew for each pixel."""
    values = windows.planes(planes)
    grown = F.pad(values[None], (1, 1, 1, 1), mode="replicate")
    near = F.unfold(grown.transpose(0, 1), 3).transpose(1, 2)
    apart = values - near.median(-1).values.reshape(values.shape)
    strongest = apart.abs().amax(0, keepdim=True).copysign(apart.sum(0, keepdim=True))
    noise = 1 - (windows.structure(strongest) / AGREEMENT).clamp(0, 1)
    return (values - noise * apart).float().numpy().transpose(1, 2, 0)


def mixed(
    candidates: list[np.ndarray], model: Model, coding: Hdr, auxiliary: np.ndarray | None
) -> np.ndarray:
    """Candidates (H, W, C), mixed as the model's net says; the last is the noisy light."""
    height, width, channels = candidates[0].shape
    gray = channels == 1
    assert isinstance(model.net, Mixer)
    guides = np.zeros((height, width, model.net.config.guides), np.float32)
    guides = guides if auxiliary is None else auxiliary
    stack = np.stack([coding.encode(each) for each in candidates])
    stack = np.repeat(stack, 3, -1) if gray else stack
    result = np.empty(stack.shape[1:], np.float32)
    planes = torch.from_numpy(stack).permute(0, 3, 1, 2)
    beside = torch.from_numpy(np.ascontiguousarray(guides)).permute(2, 0, 1)
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            rows = slice(top, min(top + BLOCK, height))
            columns = slice(left, min(left + BLOCK, width))
            result[rows, columns] = _block(model, planes, beside, rows, columns)
    light = coding.decode(result)
    return light.mean(-1, keepdims=True) if gray else light


@torch.inference_mode()
def _block(model: Model, planes: Tensor, guides: Tensor, rows: slice, columns: slice) -> np.ndarray:
    """A block with what the net looks at around it; the net's own padding is at the borders."""
    (top, bottom), (left, right) = (
        (max(0, where.start - model.halo), min(side, where.stop + model.halo))
        for where, side in zip((rows, columns), planes.shape[2:], strict=True)
    )
    cut = (..., slice(top, bottom), slice(left, right))
    answer = model.net(planes[cut][None].to(model.device), guides[cut][None].to(model.device))
    values = answer[0].permute(1, 2, 0).float().cpu().numpy()
    return values[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
