"""Every kind of noise that mdn can add, for training, `mdn noise` and benchmarks alike.

An explicit list, no folder scan. All randomness comes from the generator that the caller passes.
"""

import difflib

import torch
from torch import Tensor

from mdn.errors import UsageError
from mdn.noise.kinds import described
from mdn.noise.synthesis import basic, camera, composite, isp, sensor, unknown
from mdn.noise.synthesis.types import Level, NoiseFunction, NoiseType, PairFunction

__all__ = ["NOISES", "SUITE", "Level", "NoiseFunction", "NoiseType", "add", "get"]

FUNCTIONS: dict[str, NoiseFunction] = {
    "gaussian": basic.gaussian,
    "gaussian-gray": basic.gaussian_gray,
    "poisson": basic.poisson,
    "speckle": basic.speckle,
    "speckle-normal": basic.speckle_normal,
    "spatial": basic.spatial,
    "correlated": basic.correlated,
    "salt-pepper": basic.salt_pepper,
    "isp": isp.isp,
    "camera": camera.camera,
    "poisson-gaussian": sensor.poisson_gaussian,
    "banding-rows": sensor.banding_rows,
    "banding-columns": sensor.banding_columns,
    "grain": sensor.grain,
    "gaussian-jpeg": composite.gaussian_jpeg,
    "jpeg": composite.jpeg_only,
    "mixture": composite.mixture,
    "fireflies": composite.fireflies,
    "rician": unknown.rician,
    "speckle-gamma": unknown.speckle_gamma,
    "electron": unknown.electron,
    "laplace": unknown.laplace,
    "uniform": unknown.uniform,
    "stripes": unknown.stripes,
    "colour-blotches": unknown.colour_blotches,
    "impulse-blotches": unknown.impulse_blotches,
    "raw-mosaic": unknown.raw_mosaic,
    "dither": unknown.dither,
}
PAIRS: dict[str, PairFunction] = {"camera": camera.take_photos}

NOISES: tuple[NoiseType, ...] = tuple(
    NoiseType(name=name, function=FUNCTIONS[name], pair=PAIRS.get(name), **about)
    for name, about in described().items()
)

Rows = tuple[tuple[str, float], ...]


def _rows(*kinds: str) -> Rows:
    levels = {noise.name: noise.levels for noise in NOISES}
    return tuple((kind, level) for kind in kinds for level in levels[kind])


PAPER = ("gaussian", "speckle", "poisson", "spatial", "salt-pepper", "isp", "mixture")
LOOKS = (16, 4, 1)  # levels of radar speckle in "unknown": many looks, a few, a single one

SUITE: dict[str, Rows] = {
    **{noise.name: _rows(noise.name) for noise in NOISES},
    "paper": _rows(*PAPER),
    "unknown": tuple(
        (noise.name, level)
        for noise in NOISES
        if noise.held_out
        for level in (LOOKS if noise.name == "speckle-gamma" else (noise.default,))
    ),
    "all": _rows(*(noise.name for noise in NOISES)),
}
"""What benchmarks run, by name: one kind at its published levels, "paper" (the noises that Chen et
al., CVPR 2023, test on; their renders are files, not a noise), "unknown" (those that no model is
trained on, at their usual strength) or "all"."""

_BY_NAME = {noise.name: noise for noise in NOISES}


def get(name: str) -> NoiseType:
    """The noise type of that name. Raises UsageError that offers the nearest names."""
    found = _BY_NAME.get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name.lower(), _BY_NAME, n=3, cutoff=0.4) or list(_BY_NAME)
    raise UsageError(f"unknown noise type {name!r}; try {', '.join(near)}")


def add(x: Tensor, kind: str, level: Level, generator: torch.Generator) -> Tensor:
    """x with noise of that kind and level; same shape, not clipped.

    x: (..., C, H, W) float32, nominal range [0, 1]. level: a number, or a tensor that broadcasts
    with x, such as (B, 1, 1, 1). The same generator state gives the same bits on the CPU.
    Raises UsageError for an unknown kind and for a level outside its limits.
    """
    noise = get(kind)
    noise.check(level)
    return noise.function(x, level, generator)
