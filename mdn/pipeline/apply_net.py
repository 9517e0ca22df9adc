"""One pass of a net over a batch of tiles, conditioned on the noise of the picture."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.analysis import brightness, impulses, phases
from mdn.pipeline.conditioning import FAINT, FAINTEST, NoiseConditioning
from mdn.pipeline.options import Options
from mdn.pipeline.self_ensemble import flip_rotate, flip_rotate_back
from mdn.registry.model import Model, Origins


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
    if noise.blend_weight < 1:
        mixed = torch.lerp(x, y, noise.blend_weight)
        y = mixed if broken is None else torch.where(broken, y, mixed)
    return y


def _level(x: Tensor, noise: NoiseConditioning) -> Tensor:
    """Sigma of the noise: one number, or that of each pixel (B, 1, H, W)."""
    if noise.variance_curve is None:
        return torch.tensor(max(noise.sigma, FAINT), device=x.device)
    return (noise.sigma * brightness.sigma_map(x, noise.variance_curve)).clamp(min=FAINTEST)
