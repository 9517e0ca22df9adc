"""Counted light of every kind, simulated, with the numbers that describe its noise.

Light of a scene, smooth or textured, falls on a detector with a pedestal: photons are counted,
multiplied (an EMCCD's register doubles their variance: Robbins, Hadwen, IEEE TED 2003), read out
with noise that differs from pixel to pixel (sCMOS: Huang et al., Nature Methods 2013), blurred,
rounded, cut off. Beside it are pictures whose noise is not that of counted light.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn import noise
from mdn.nets.counts_reader import FLOOR, SIDE, Scale, scale_of
from mdn.noise.synthesis.basic import jpeg
from mdn.noise.synthesis.development import blur
from mdn.training.patterns import draw_pattern

SHARP, BLURRED = (0.35, 0.8), (0.8, 3.0)  # deviation of a PSF, pixels
MARGIN = 8  # pixels around a window, which blurs take up
PHOTONS = 0.1, 1e4  # at the brightest place
GAIN = 0.2, 60.0  # stored units a photo-electron, which is what rounding is measured by
READ = 0.05, 20.0  # photo-electrons
USUAL_READ = 1.6  # photo-electrons, of half of all cameras
# What becomes of pictures that are not counted light: (type of noise, least and greatest level)
OTHER_NOISES = (
    ("clean", 0.0, 0.0), ("clean", 0.0, 0.0), ("speckle", 0.005, 0.05), ("camera", 400, 25600),
    ("jpeg", 60, 95), ("grain", 3, 20), ("spatial", 10, 50), ("gaussian-jpeg", 3, 20),
)  # fmt: skip
ADDITIVE = 0.12  # share of pictures with noise that no brightness changes
ADDED = 1e-3, 1.0  # its deviation, of the brightest place
NOTHING = 2.0**-8  # variance, in squares of the unit, that stands for none: beside texture
MOST = 12.0  # log2 of a variance, in squares of the unit, that is read at most
CERTAIN = 0.02, 0.98  # between which the share of photons lies that is asked for


@dataclass(frozen=True)
class Lesson:
    """Windows of one picture, and what is to be read of them."""

    windows: Tensor  # (N, SIDE, SIDE), as stored
    # (4,), as nets.counts_reader.NUMBERS, the variances in the unit of the samples; None for noise
    # that is of no such kind
    numbers: tuple[float, float, float, float] | None
    counted: bool  # whether the light was counted


@dataclass(frozen=True)
class Scene:
    """What there is to see."""

    light: Tensor  # (H, W), 0..1
    natural: bool  # whether it is a photograph


def scene(picture: Tensor, generator: torch.Generator) -> Scene:
    """What a decoded picture (3, H, W) uint8 shows, or something simulated."""
    kind = float(torch.rand((), generator=generator))
    if kind < 0.35:
        return Scene(simulated(generator), natural=False)
    gray = picture.float().mean(0) / 255
    # No picture is without noise of its own, and no light brighter than that may be drawn of it.
    measured = bool((picture[0] == picture[1]).all())
    if kind < 0.7 and not measured and min(gray.shape) >= 4 * (SIDE + 2 * MARGIN):
        gray = F.avg_pool2d(gray[None], 2)[0]
    else:
        width = _between(1.0 if measured else 0.7, 3.0, generator)
        gray = blur(gray[None], width)[0]
    return Scene(gray ** _between(1.0, 3.5, generator), natural=not measured)


def simulated(generator: torch.Generator, size: int = 256) -> Tensor:
    """Cells, filaments, puncta or a ramp, (size, size), 0..1, through a PSF."""
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    y, x = np.mgrid[:size, :size] / size
    light = rng.uniform(0, 0.05) + rng.uniform(0, 0.2) * (rng.normal() * x + rng.normal() * y)
    for _ in range(rng.integers(0, 8)):
        (row, column), (tall, wide) = rng.uniform(0, 1, 2), rng.uniform(0.03, 0.3, 2)
        inside = np.hypot((y - row) / tall, (x - column) / wide)
        light = light + rng.uniform(0.05, 1) * np.clip((1 - inside) * rng.uniform(1, 20), 0, 1)
    for _ in range(rng.integers(0, 90) * rng.integers(0, 2)):
        angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.04, 300))
        row = rng.uniform(0, size) + np.cumsum(np.sin(angle))
        column = rng.uniform(0, size) + np.cumsum(np.cos(angle))
        inside = (row >= 0) & (row < size) & (column >= 0) & (column < size)
        light[row[inside].astype(int), column[inside].astype(int)] += rng.uniform(0.2, 3)
    for _ in range(rng.integers(0, 200) * rng.integers(0, 2)):
        light[rng.integers(size), rng.integers(size)] += rng.uniform(0.5, 20)
    # Half of them sharper than the pixels can tell: confocal pictures of fine filaments are.
    sharp = SHARP if rng.uniform() < 0.5 else BLURRED
    shown = torch.from_numpy(np.asarray(light, np.float64))
    shown = blur(shown[None], math.exp(rng.uniform(*np.log(sharp))))[0]
    shown = shown - min(0.0, float(shown.min()))
    return (shown / max(float(shown.max()), 1e-6)).float()


def draw(scene: Scene, count: int, generator: torch.Generator) -> Lesson:
    """A lesson of so many windows of a scene, at least 80 pixels a side."""
    windows = _cut(scene.light, count, generator)
    glow = _between(1e-4, 0.5, generator) if _chance(0.7, generator) else 0.0
    photons = (glow + (1 - glow) * windows) * _between(*PHOTONS, generator)
    if _chance(0.2, generator):  # it bleaches
        fading = torch.linspace(0, -_between(0.1, 2, generator), count).exp()
        photons = photons * fading[:, None, None]
    # Noise that is the same at every brightness: of a detector whose read noise is all there is.
    additive = _chance(ADDITIVE, generator)
    lesson = _detected(photons, generator, additive=additive)
    return replace(lesson, counted=not (additive and scene.natural))


def _cut(light: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(count, 80, 80) windows of a scene, turned as the generator says, the brightest place 1."""
    wide = SIDE + 2 * MARGIN
    tops, lefts = (torch.randint(n - wide + 1, (count,), generator=generator) for n in light.shape)
    places = zip(tops.tolist(), lefts.tolist(), strict=True)
    windows = torch.stack([light[top : top + wide, left : left + wide] for top, left in places])
    windows = windows.transpose(1, 2) if _chance(0.5, generator) else windows
    return windows / windows.max().clamp(min=1e-3)


def _detected(photons: Tensor, generator: torch.Generator, *, additive: bool) -> Lesson:
    """What a detector makes of the mean photons of windows (N, 80, 80)."""
    gain, excess = _between(*GAIN, generator), 1.0
    read = _between(*READ, generator) if _chance(0.5, generator) else USUAL_READ
    offset = gain * _between(0.1, 300, generator) if _chance(0.8, generator) else 0.0
    if additive:
        electrons, excess = photons, 0.0
        read = float(photons.max()) * _between(*ADDED, generator)
    else:
        electrons = torch.poisson(photons, generator)
    if not additive and _chance(0.15, generator):
        excess = 2.0
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
        electrons = torch.from_numpy(rng.gamma(electrons.numpy() + 1e-9)).float()
    map_of = torch.ones_like(photons[:1])
    added = torch.zeros_like(photons[:1])
    if _chance(0.25, generator):
        map_of = torch.exp(0.4 * torch.randn(map_of.shape, generator=generator))
        added = 0.3 * read * torch.randn(map_of.shape, generator=generator)
        even = 1 + _between(1e-3, 0.01, generator) * torch.randn(map_of.shape, generator=generator)
        electrons = electrons * even
    noisy = electrons + read * map_of * torch.randn(photons.shape, generator=generator) + added
    readout = read**2 * float(map_of.square().mean()) + float(added.square().mean())
    sharpness, blur = 1.0, 0.0
    if _chance(0.2, generator):
        blur = _between(0.3, 1.5, generator)
        taps = torch.exp(-(torch.arange(-5, 6).float() ** 2) / (2 * blur**2))
        if _chance(0.3, generator):  # the mean of three, as of a detector that is binned
            taps = (torch.arange(-5, 6).abs() <= 1).float()
            blur = (2 / 3) ** 0.5
        taps = taps / taps.sum()
        sharpness = float(taps.square().sum()) ** 2
        stack = F.conv2d(noisy[:, None], taps[None, None, :, None], padding=(5, 0))
        noisy = F.conv2d(stack, taps[None, None, None], padding=(0, 5))[:, 0]
    stored = gain * noisy[:, MARGIN:-MARGIN, MARGIN:-MARGIN] + offset
    rounding = 0.0
    if _chance(0.6, generator):
        stored, rounding = stored.round(), 1 / 12
    if offset == 0 and rounding:
        stored = stored.clamp(min=0)
    if _chance(0.08, generator):
        stored = stored.clamp(max=float(stored.quantile(_between(0.9, 0.9999, generator))) if
                              stored.numel() < 2**24 else float(stored.max()))  # fmt: skip
    if _chance(0.3, generator):
        hot = torch.rand(stored.shape, generator=generator) < _between(1e-5, 2e-3, generator)
        span = float(stored.max() - stored.min())
        stored = stored + hot * torch.rand(stored.shape, generator=generator) * span
    scale = scale_of(stored[None])
    variance = []
    for brightness in (float(scale.low), float(scale.high)):
        light = max(0.0, brightness - offset) / gain
        variance.append(sharpness * gain**2 * (excess * light + readout) + rounding)
    shot = sharpness * gain * excess * max(0.0, float(scale.low) - offset)
    share = min(max(shot / variance[0], CERTAIN[0]), CERTAIN[1])
    numbers = variance[0], variance[1], math.log(share / (1 - share)), math.log2(1 + blur)
    return Lesson(stored, numbers, counted=True)


def draw_other(scene: Scene, count: int, generator: torch.Generator) -> Lesson:
    """As `draw`, of a picture that no microscope counted."""
    windows = _cut(scene.light, count, generator)
    kind, low, high = OTHER_NOISES[int(torch.randint(len(OTHER_NOISES), (), generator=generator))]
    shown = (windows ** (1 / 2.2))[:, None]
    if kind != "clean":
        level = _between(low, high, generator)
        size = shown.shape
        tall = shown.flatten(0, 2)[None].expand(3, -1, -1).contiguous()
        shown = noise.add(tall, kind, level, generator).mean(0).reshape(size)
    x = shown[:, 0, MARGIN:-MARGIN, MARGIN:-MARGIN]
    rounded = _chance(0.6, generator)
    # Without noise there is what rounding adds, where it is not as smooth as to be rounded alike.
    nothing = (0.0, 0.0, math.log(CERTAIN[0] / (1 - CERTAIN[0])), 0.0) if kind == "clean" else None
    return Lesson((255 * x).round() if rounded else 60000 * x, nothing, counted=False)


def draw_drawn(count: int, generator: torch.Generator) -> Lesson:
    """As `draw_other`, of a picture drawn by formula: clean, as a JPEG, or with even noise."""
    size = int(_between(SIDE, 6 * SIDE, generator))
    picture = draw_pattern(size, generator)
    if _chance(0.5, generator):
        quality = 100 - _between(4, 60, generator)
        picture = jpeg(picture[None], quality, halved=_chance(0.5, generator))[0]
    elif _chance(0.3, generator):
        sigma = _between(1, 20, generator) / 255
        picture = picture + sigma * torch.randn(picture.shape, generator=generator)
    x = picture.mean(0).clamp(0, 1)
    if _chance(0.8, generator):
        x = (255 * x).round()
    tops, lefts = torch.randint(size - SIDE + 1, (2, count), generator=generator).tolist()
    windows = [
        x[top : top + SIDE, left : left + SIDE] for top, left in zip(tops, lefts, strict=True)
    ]
    return Lesson(torch.stack(windows), None, counted=False)


def _between(low: float, high: float, generator: torch.Generator) -> float:
    """Evenly drawn by the logarithm."""
    return float(low * (high / low) ** torch.rand((), generator=generator))


def _chance(share: float, generator: torch.Generator) -> bool:
    return bool(torch.rand((), generator=generator) < share)


def targets(lessons: list[Lesson], scale: Scale) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 4) NUMBERS in the unit of the scale; (B,) bool: which have any, which are counted."""
    some = torch.tensor([lesson.numbers is not None for lesson in lessons])
    counted = torch.tensor([lesson.counted for lesson in lessons])
    numbers = torch.tensor([lesson.numbers or (1.0, 1.0, 0.0, 0.0) for lesson in lessons])
    for place in (0, 1):
        ratio = numbers[:, place] / scale.unit.square()
        least = torch.where(counted, FLOOR, NOTHING)
        numbers[:, place] = torch.log2(ratio + least).clamp(max=MOST)
    return numbers, some, counted
