"""The loss of a step: the error of a net's answers to one batch of noisy crops."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn import nets
from mdn.training import judged
from mdn.training.degrade import Sample, generator_for
from mdn.training.recipe import Recipe
from mdn.training.renders import decode

LEAST_ERROR = 1e-5  # squared; 50 dB, from which on a better crop counts for little
NOISY_ERROR = 3e-4  # the same where what is aimed at has noise itself
CODED = 15.0  # weight of the L1 of coded light
GAMMA = 2.2  # that renders are compared behind
BLACK = 2e-3  # light

Autocast = Callable[[], AbstractContextManager[None]]


def batch_loss(
    recipe: Recipe,
    net: nn.Module,
    forward: nn.Module,
    sample: Sample,
    step: int,
    autocast: Autocast,
) -> Tensor:
    """The loss, with gradients: L1, the squared error, or PSNR, as the recipe says.

    The mean is over all pixels, masked or not (CVPR 2023, 4.1), or over the masked alone. A net
    that judges the noise has a loss of its own.

    Args:
        forward: the net, or what computes it: compiled, or on several processes.
        step: draws the part of the crops that is denoised, where that is not all of them.
        autocast: of the forward pass; losses are computed in float32.
    """
    takes = nets.abilities(net)
    if takes.judges_noise:
        generator = generator_for(recipe.seed, step, recipe.optim.groups)
        return _judged_loss(recipe, net, forward, sample, generator, autocast)
    noisy = sample.noisy.contiguous(memory_format=torch.channels_last)
    inputs = {
        "seed": (takes.takes_seed, sample.seeds),
        "visible": (takes.takes_masks, sample.visible),
        "level": (takes.takes_sigma, sample.level),
        "guide": (takes.guides, sample.guide),
    }
    with autocast():
        output = forward(
            noisy, **{name: value for name, (takes_it, value) in inputs.items() if takes_it}
        )
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]]
    measures = {"l1": F.l1_loss, "l2": F.mse_loss, "psnr": psnr_loss, "shown": shown_loss}
    measure = measures[recipe.loss]
    if recipe.mask.alone:
        assert sample.visible is not None
        hidden = (sample.visible == 0).expand_as(sample.clean)
        return measure(output.float()[hidden], sample.clean[hidden])
    return measure(output.float(), sample.clean)


def psnr_loss(output: Tensor, clean: Tensor) -> Tensor:
    """The logarithm of each crop's squared error, for which weak noise counts as much as strong."""
    errors = (output - clean).square().flatten(1).mean(1)
    return torch.log(errors + LEAST_ERROR).mean()


def shown_loss(output: Tensor, clean: Tensor) -> Tensor:
    """Of renders, by their curve: as `psnr_loss` behind clip and gamma, and L1 for lamps."""
    shown, wanted = _shown(output), _shown(clean)
    errors = (shown - wanted).square().flatten(1).mean(1)
    return torch.log(errors + NOISY_ERROR).mean() + CODED * F.l1_loss(output, clean)


def _shown(values: Tensor) -> Tensor:
    """Light behind a curve as a display shows it; its slope at black is bounded."""
    light = decode(values.clamp(0, 1.0)).clamp(max=1.0)
    return (light + BLACK) ** (1 / GAMMA)


def _judged_loss(
    recipe: Recipe,
    net: nn.Module,
    forward: nn.Module,
    sample: Sample,
    generator: torch.Generator,
    autocast: Autocast,
) -> Tensor:
    """The judge sees whole crops; of each, the inner part is denoised by what it says."""
    inner = judged.inner(sample, recipe.data.crop, generator)
    part = (..., *inner)
    visible = None if sample.visible is None else sample.visible[part]
    noisy = sample.noisy[part].contiguous(memory_format=torch.channels_last)
    with autocast():
        noise = net.judge(sample.noisy)  # type: ignore[operator]
        sigmas = net.sigma_map(noisy, noise)  # type: ignore[operator]
        gain, floor = judged.told(sample, sigmas, recipe.told, inner, generator)
        output = forward(noisy, visible=visible, noise=noise, gain=gain, floor=floor, sigmas=sigmas)
    error = judged.picture_loss(output.float(), sample.clean[part])
    said = judged.judge_loss(net, sample, noise, sigmas, inner)  # type: ignore[arg-type]
    return error + judged.WEIGHT * said
