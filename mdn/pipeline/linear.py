"""Denoising linear light of any range: one layer of a render.

Noise of a render is far stronger, here and there, than any that a net for photographs was taught.
So its answers on the picture and on its means over 2 x 2 and 4 x 4 pixels are put together, and
albedo and normals say what is picture in that (`refine`). A net that was trained on renders knows
such noise and has seen the guides: it needs the refinement alone. Last, what light was lost on the
way comes back (`keep_whole_light`, `keep_light`).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.encoding import Hdr, Srgb
from mdn.pipeline import external, windows
from mdn.pipeline.classical import condition
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import Guides, Progress, denoise_tiles, no_progress, tiled
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.options import Options
from mdn.pipeline.refine import Coding, Curve, refine
from mdn.pipeline.sample import sample_for_estimation
from mdn.registry.model import Model, Origins

COARSER = 2  # scales beside the full one

# The noise of a sequence's first frame, by the shape of the picture: it holds for all frames.
Known = dict[tuple[int, ...], NoiseConditioning]


def restore(
    light: np.ndarray,
    model: Model,
    options: Options,
    *,
    exposure: float = 1.0,
    tonemap: str = "hdr",
    auxiliary: np.ndarray | None = None,
    guides: np.ndarray | None = None,
    clean_guides: bool = False,
    known: Known | None = None,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Linear light (H, W, C), float32 and finite -> the same, denoised at full strength.

    Args:
        exposure: the whole sequence's; see encoding.Hdr.
        tonemap: hdr, the whole range; srgb: clipped to 0..1 and shown, the protocol of papers.
        auxiliary: (H, W, G) for a net that takes guides, albedo first (denoise_tiles.ALBEDO); or
            None.
        guides: (H, W, D), each about 0..1 and finite, to refine with; or None.
        clean_guides: whether guides were denoised before; see pipeline.external.
        known: see Known; filled here.

    Raises:
        OutOfMemoryError: the smallest tile does not fit.
    """
    known = {} if known is None else known
    if model.card.kind != "net":
        light = light.clip(0, 1) if tonemap == "srgb" else light
        if model.card.kind == "external":
            found = external.restore(light, model, auxiliary, clean=clean_guides)
            return keep_light(light, found)
        same = {"exposure": exposure, "auxiliary": auxiliary, "guides": guides, "known": known}
        results = [
            restore(light, part, options, clean_guides=clean_guides, **same)  # type: ignore[arg-type]
            for part in model.parts
        ]
        return external.mixed([*results, light], model, Hdr(exposure), auxiliary)
    if tonemap == "srgb":
        shown = Srgb().decode(Srgb().encode(light))
        return denoise_light(shown, Srgb(), model, options, auxiliary, known, progress)
    curve = Curve(Hdr(exposure), exposure)
    trained = model.card.domain == "hdr"
    auxiliary = auxiliary if trained else None
    first = lambda share: progress(0.7 * share)  # noqa: E731
    answers = [denoise_light(light, curve.coding, model, options, auxiliary, known, first)]
    small, sizes = light, []
    for _ in range(0 if trained else COARSER):
        sizes.append(small.shape[:2])
        small = halved(small)
        answer = denoise_light(small, curve.coding, model, options, None, known)
        for height, width in reversed(sizes):
            answer = doubled(answer, height, width)
        answers.append(answer)
    progress(0.9)
    rest = lambda share: progress(0.9 + 0.1 * share)  # noqa: E731
    refined = refine(curve, light, answers, guides, rest, trained_on_renders=trained)
    return keep_light(light, keep_whole_light(light, refined) if trained else refined)


def denoise_light(
    light: np.ndarray,
    coding: Coding,
    model: Model,
    options: Options,
    auxiliary: np.ndarray | None,
    known: Known,
    progress: Progress = no_progress,
) -> np.ndarray:
    """The net alone, behind a coding: (H, W, C) linear light -> the same."""
    if not model.abilities.takes_sigma:
        noise = NoiseConditioning()
    elif options.sigma is not None and not model.abilities.judges_noise:
        noise = NoiseConditioning(options.sigma)
    else:
        if light.shape not in known:
            sample = sample_for_estimation(light, coding.encode)
            judges = model.abilities.judges_noise
            known[light.shape] = (
                judge_sample(sample, model, options.sigma) if judges else condition(sample)
            )
        noise = known[light.shape]
    takes = model.abilities.guides and auxiliary is not None
    guides = Guides(auxiliary) if takes and auxiliary is not None else None

    def clean(tiles: Tensor, origins: Origins) -> Tensor:
        return denoise_tiles(tiles, origins, noise, model, options, guides=guides)

    return tiled(clean, model, options, light, coding.encode, coding.decode, progress)


def halved(picture: np.ndarray) -> np.ndarray:
    """(H, W, C) -> means over 2 x 2 pixels; an odd last row or column goes with itself."""
    height, width = picture.shape[:2]
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return ((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4).astype(
        np.float32
    )


def doubled(small: np.ndarray, height: int, width: int) -> np.ndarray:
    """Back to full size, linear between the means' centres."""
    planes = torch.from_numpy(small.transpose(2, 0, 1)[None].copy())
    large = F.interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False)
    return large[0].numpy().transpose(1, 2, 0)[:height, :width]


CELL, RADIUS = 8, 4  # pixels a side; cells to each side of one that are averaged, twice


def keep_light(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The clean light, with neighbourhoods as bright as in the noisy one.

    A net that is trained for the least absolute error aims at the median, which of few samples of a
    lamp lies below the mean; but the mean of a path tracer's samples is right. So the light of a
    neighbourhood is known far better than that of a pixel. What is missing counts as far as it is
    more than chance would make it (positive-part James-Stein; Baranchik, Stanford technical report
    51, 1964): a single firefly adds nothing. Pixels share it in proportion to the square of their
    light: an error that grows with the light is corrected so by least squares.

    Args:
        noisy, clean: (H, W, C) float32, linear light.
    """
    light, missing = windows.planes(clean), windows.planes(noisy) - windows.planes(clean)
    power, mean = _around(light**2), _around(missing)
    chance = _around(missing**2).sum(0, keepdim=True) / _samples(mean)
    found = (mean**2).sum(0, keepdim=True)
    share = torch.where(found > chance, 1 - chance / found, 0.0)
    rate = torch.where(power > 0, share * mean / power, 0.0)
    height, width = clean.shape[:2]
    smooth = F.interpolate(rate[None], scale_factor=CELL, mode="bilinear", align_corners=False)
    kept = light * (1 + smooth[0, :, :height, :width] * light).clamp(min=0)
    return kept.permute(1, 2, 0).float().numpy()


def keep_whole_light(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The clean light (H, W, C), in each colour as much of it as in the noisy one.

    As `keep_light`, of the picture as a whole: so many pixels tell what no neighbourhood does. All
    share what is missing in proportion to the square of their light.
    """
    light = windows.planes(clean)
    missing = windows.planes(noisy) - light
    mean, power = missing.mean((1, 2)), light.square().mean((1, 2))
    excess = mean.square().sum()
    chance = missing.square().mean() * len(missing) / missing[0].numel()
    share = (1 - chance / excess).clamp(min=0) if excess > 0 else excess
    rate = torch.where(power > 0, share * mean / power, 0.0)
    kept = light * (1 + rate[:, None, None] * light).clamp(min=0)
    return kept.permute(1, 2, 0).float().numpy()


def _around(planes: Tensor) -> Tensor:
    """(C, H, W) -> (C, h, w): the mean around each cell."""
    cells = F.avg_pool2d(planes[None], CELL, ceil_mode=True, count_include_pad=False)[0]
    return windows.mean(windows.mean(cells, RADIUS), RADIUS)


def _samples(means: Tensor) -> Tensor:
    """(C, h, w) -> (h, w): how many pixels count in each mean, at the least.

    One over the largest weight of one, so that what a single pixel adds is always put to chance.
    """
    reach = []
    for side in means.shape[1:]:
        place = torch.arange(side)
        cells = (place + RADIUS).clamp(max=side - 1) - (place - RADIUS).clamp(min=0) + 1
        least = -F.max_pool1d(-cells[None].float(), 2 * RADIUS + 1, 1, RADIUS)[0]
        reach.append(least)
    return CELL**2 * reach[0][:, None] * reach[1]
