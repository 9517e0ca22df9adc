"""The net over a batch of tiles: its passes, for any number of channels and any spacing."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.engine.run import StdOutput, run
from mdn.engine.tiles import reflected
from mdn.noise.analysis import brightness, impulses, phases
from mdn.pipeline.blend import restore_grain
from mdn.pipeline.conditioning import FAINT, FAINTEST, NoiseConditioning
from mdn.pipeline.counts_noise import MOST_SPACING
from mdn.pipeline.options import AUGMENTATIONS, Options, geometry, runtime
from mdn.registry.model import Model, Origins

Progress = Callable[[float], None]


def no_progress(share: float) -> None:
    """For callers that show none."""


def denoise_tiles(
    x: Tensor,
    origins: Origins,
    noise: NoiseConditioning,
    model: Model,
    options: Options,
    *,
    separate: bool = False,
    spacing: int = 1,
    guides: Guides | None = None,
    share: Tensor | None = None,
) -> Tensor:
    """What the model makes of tiles; the strength is left to the caller.

    Args:
        x: (B, C, H, W) float32, encoded; H and W multiples of the model's times the spacing.
        origins: (row, column) of each tile in the picture.
        separate: the channels are no colours.
        spacing: how far apart samples must be to be shown to the net together.
        guides: for a model that takes them.
        share: (B, 1, H, W): of the noise's deviation, that is left at each pixel; for a model that
            takes sigma, and one channel.

    Returns:
        (B, C, H, W), and as many channels more with their deviation where options.with_std.
    """

    def one_pass(number: int) -> Tensor:
        small, places = pixel_shuffle_downsampled(x, origins, spacing)
        planes, places = to_net_channels(small, places, model.card.channels, separate=separate)
        guide = None if guides is None else guides.beside(planes, places)
        left = None if share is None else pixel_shuffle_downsampled(share, origins, spacing)[0]
        y = apply_net(planes, places, noise, model, options, number, guide, share=left)
        y = restore_grain(planes, y, options.detail)
        y = pixel_shuffle_upsampled(from_net_channels(y, small.shape), spacing)
        return without_seams(y, spacing) if spacing > 1 else y

    return self_ensemble(one_pass, options.passes, with_std=options.with_std)


def tiled(
    clean: Callable[[Tensor, Origins], Tensor],
    model: Model,
    options: Options,
    picture: np.ndarray,
    encode: Callable[[np.ndarray], np.ndarray],
    decode: Callable[[np.ndarray], np.ndarray],
    progress: Progress = no_progress,
    std_output: StdOutput | None = None,
) -> np.ndarray:
    """`clean` over the tiles of a stored picture (H, W, C), in bounded memory; see engine.run."""
    return run(
        clean, geometry(model, options), runtime(model, options),
        picture, encode, decode, progress, std_output,
    )  # fmt: skip


def apply_net(
    x: Tensor,
    origins: Origins,
    noise: NoiseConditioning,
    model: Model,
    options: Options,
    number: int = 0,
    guide: Tensor | None = None,
    hidden: Tensor | None = None,
    share: Tensor | None = None,
) -> Tensor:
    """The model's answer to tiles in one of its passes.

    Args:
        x: (B, C, H, W) float32, encoded, C as the model takes them.
        origins: where in the picture the tiles begin; masks are a function of the pixel.
        noise: for a model that takes it.
        number: of the pass. Passes of a stochastic model draw other masks; others see the tile
            flipped and rotated.
        guide: (B, G, H, W) beside the tiles, or None.
        hidden: bool, as x or (B, 1, H, W): more samples that are not to be seen, but rebuilt; for
            nets that take sigma.
        share: (B, 1, H, W): of the noise's deviation, that is left at each pixel; likewise.

    Returns:
        (B, C, H, W) float32.
    """
    if model.answer is not None:
        return model.answer(x, origins, noise, model, options, number)
    if model.abilities.stochastic:
        where = torch.tensor(origins, device=x.device)
        return model(x, seed=options.seed, pass_index=number, origin=where)
    if noise.places is not None:
        x = phases.filled(x, noise.places, origins)
    turned = flip_rotate(x, number)
    if guide is not None:
        y = model(turned, guide=flip_rotate(guide, number))
    elif model.abilities.takes_sigma:
        broken = broken_samples(x, noise, hidden)
        y = _conditioned(
            turned,
            None if broken is None else flip_rotate(broken, number),
            noise,
            model,
            None if share is None else flip_rotate(share, number),
            options.force,
        )
    else:
        y = model(turned)
    y = flip_rotate_back(y, number)
    return y if noise.curve is None else noise.curve.corrected(y)


def broken_samples(
    x: Tensor, noise: NoiseConditioning, hidden: Tensor | None = None
) -> Tensor | None:
    """The samples of (B, C, H, W) that tell nothing, bool, as x; None where all do."""
    found = [] if hidden is None else [hidden.expand_as(x)]
    if noise.impulse_spread is not None:
        found.append(impulses.impulse_mask(x, noise.impulse_spread))
        if noise.impulses_at_ends:
            found.append(impulses.ends(x))
    return functools.reduce(torch.logical_or, found) if found else None


def _conditioned(
    x: Tensor,
    broken: Tensor | None,
    noise: NoiseConditioning,
    model: Model,
    share: Tensor | None,
    strength: float,
) -> Tensor:
    """The answer of a net that takes the noise's strength, and marks of broken samples.

    strength: factor on what the noise is taken for.
    """
    if noise.blend_weight == 0 and broken is None:
        return x
    values = noise.stabiliser.forward(x) if noise.stabiliser else x
    if model.abilities.judges_noise:
        factor = strength if share is None else strength * F.avg_pool2d(share, 2)
        more = noise.judged | {"gain": noise.gain * factor}
    else:
        more = {"level": _level(x, noise) * (strength if share is None else strength * share)}
    # The net rebuilds impulses as it rebuilt masked samples in training (masked image training,
    # Chen et al., CVPR 2023).
    if broken is not None and not model.abilities.per_channel_mask:
        broken = broken.any(1, keepdim=True)
    visible = None if broken is None else 1 - broken.to(x.dtype)
    y = model(values, visible=visible, **more)
    if noise.stabiliser:
        y = noise.stabiliser.inverse(y)
    if noise.dead_zone:
        changed = (y - x).abs() > noise.dead_zone
        y = torch.where(changed if broken is None else changed | broken, y, x)
    if noise.blend_weight < 1:
        mixed = torch.lerp(x, y, noise.blend_weight)
        y = mixed if broken is None else torch.where(broken, y, mixed)
    return y


def _level(x: Tensor, noise: NoiseConditioning) -> Tensor:
    """Sigma of the noise: one number, or that of each pixel (B, 1, H, W)."""
    if noise.variance_curve is None:
        return torch.tensor(max(noise.sigma, FAINT), device=x.device)
    return (noise.sigma * brightness.sigma_map(x, noise.variance_curve)).clamp(min=FAINTEST)


def self_ensemble(one_pass: Callable[[int], Tensor], passes: int, *, with_std: bool) -> Tensor:
    """The mean of the passes and, with `with_std`, as many channels more: their deviation.

    Args:
        one_pass: number of the pass, from 0 -> (B, C, H, W).

    Returns:
        (B, C, H, W), or (B, 2 C, H, W). The deviation is that of one pass (n - 1 in the
        denominator), not of the mean.
    """
    mean = one_pass(0)
    squares = torch.zeros_like(mean) if with_std else None
    # Welford's recurrence: one picture is held, and nothing cancels.
    for count in range(2, passes + 1):
        output = one_pass(count - 1)
        step = output - mean
        mean = mean + step / count
        if squares is not None:
            squares += step * (output - mean)
    if squares is None:
        return mean
    return torch.cat([mean, (squares / max(1, passes - 1)).sqrt()], 1)


def flip_rotate(x: Tensor, way: int) -> Tensor:
    """(B, C, H, W) turned by `way` quarters, from 4 on mirrored before; 0 is as it is."""
    if not way:
        return x
    mirrored = x.flip(3) if way >= AUGMENTATIONS // 2 else x
    return torch.rot90(mirrored, way % 4, (2, 3))


def flip_rotate_back(x: Tensor, way: int) -> Tensor:
    """The way back from `flip_rotate`."""
    if not way:
        return x
    upright = torch.rot90(x, -(way % 4), (2, 3))
    return upright.flip(3) if way >= AUGMENTATIONS // 2 else upright


def to_net_channels(
    x: Tensor, origins: Origins, wanted: int, *, separate: bool = False
) -> tuple[Tensor, Origins]:
    """(B, C, H, W) -> itself, or (B C, wanted, H, W); and where each of those begins.

    separate: the channels are no colours, and each is shown for itself.
    """
    count, channels = x.shape[:2]
    if channels == wanted and not (separate and channels > 1):
        return x, origins
    single = x.reshape(count * channels, 1, *x.shape[2:])
    return single.expand(-1, wanted, -1, -1), [each for each in origins for _ in range(channels)]


def from_net_channels(y: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The way back, to (B, C, H, W) of that shape."""
    return y if y.shape == shape else y.mean(1, keepdim=True).reshape(shape)


def pixel_shuffle_downsampled(x: Tensor, origins: Origins, s: int) -> tuple[Tensor, Origins]:
    """(B, C, H, W), H and W multiples of s -> (B s s, C, H / s, W / s), each with its origin."""
    if s == 1:
        return x, origins
    count, channels, height, width = x.shape
    parts = F.pixel_unshuffle(x, s).reshape(count, channels, s * s, height // s, width // s)
    return parts.transpose(1, 2).flatten(0, 1), [each for each in origins for _ in range(s * s)]


def pixel_shuffle_upsampled(parts: Tensor, s: int) -> Tensor:
    """The way back: (B s s, C, h, w) -> (B, C, h s, w s)."""
    if s == 1:
        return parts
    channels, height, width = parts.shape[1:]
    whole = parts.reshape(-1, s * s, channels, height, width).transpose(1, 2)
    return F.pixel_shuffle(whole.reshape(-1, channels * s * s, height, width), s)


def without_seams(x: Tensor, period: int | Tensor) -> Tensor:
    """x without what repeats every `period` samples: the seams between the small pictures.

    Structure as fine as that was under the smooth noise, and is not in them either.
    """
    half = MOST_SPACING // 2  # of an even period: kept in the middle, the ends count half
    kernel = (period / 2 + 0.5 - torch.arange(-half, half + 1).abs()).clamp(0.0, 1.0)
    kernel = (kernel / kernel.sum()).to(x)
    grown = F.pad(x, (half,) * 4, mode="replicate")
    flat = grown.reshape(-1, 1, *grown.shape[-2:])
    flat = F.conv2d(F.conv2d(flat, kernel[None, None, :, None]), kernel[None, None, None, :])
    return flat.reshape(x.shape)


ALBEDO, NORMAL = slice(0, 3), slice(3, 6)
PLANES = 6


class Guides:
    """Planes (H, W, G) float32 of one picture; a net's are about -1..1, 0 where there is none."""

    def __init__(self, planes: np.ndarray) -> None:
        self.planes = torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)))

    def beside(self, tiles: Tensor, origins: Origins) -> Tensor:
        """(B, C, H, W) of tiles at these places -> (B, G, H, W).

        Beyond the picture they go on by reflection, as the engine lets the picture.
        """
        height, width = self.planes.shape[1:]
        parts = []
        for top, left in origins:
            rows = reflected(top, top + tiles.shape[2], height)
            columns = reflected(left, left + tiles.shape[3], width)
            parts.append(self.planes[:, rows[:, None], columns[None]])
        return torch.stack(parts).to(tiles)
