"""Joins nets of one judge into one whose kernels their judge's descriptor mixes: see nets.mixed.

Each kernel begins as that of one of the nets, and how they are mixed as what makes the least error
on crops of the recipe: on some of its steps all nets are tried, and the shares are fitted to their
errors. What comes out is not yet good at anything new; it is what a training begins with.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from mdn.errors import UsageError
from mdn.nets.mixed import Conditions
from mdn.nets.unet import UNet
from mdn.registry.model import build, read_safetensors
from mdn.training import judged
from mdn.training.data import Crops
from mdn.training.degrade import generator_for, join_groups
from mdn.training.recipe import Recipe

SOFT = (0.5 / 255) ** 2  # squared error below which two results are alike
PASSES, RATE, DECAY = 600, 3e-3, 1e-3  # of the fit of the shares

State = dict[str, Tensor]


def joined(net: UNet, nets: list[UNet]) -> State:
    """The state of `net` with the kernels, scales, judge and sigma map of the others."""
    state = dict(net.state_dict())
    states = [each.state_dict() for each in nets]
    shared = [key for key in states[0] if key.startswith(("judge.", "local."))]
    state |= {key: states[0][key] for key in shared}
    for key in state:
        layer, _, number = key.rpartition(".kernels.")
        if layer:
            state[key] = states[int(number)][f"{layer}.weight"]
    layers = ["head", *(f"downs.{n}" for n in range(len(net.downs)))]
    for scale, layer in enumerate(layers):
        for part in ("weight", "bias"):
            gains = [each[f"gains.{scale}.{part}"] for each in states]
            state[f"{layer}.gain.{part}"] = torch.cat(gains)
    return state


@torch.no_grad()
def errors_of(nets: list[UNet], recipe: Recipe, crops: Crops, steps: int) -> tuple[Tensor, Tensor]:
    """Descriptors (n, size), and the mean squared error of each net on each crop, (n, K)."""
    rows = []
    for step in range(steps):
        groups = range(recipe.optim.groups)
        batch = join_groups([judged.draw_group(recipe, crops, step, at) for at in groups])
        generator = generator_for(recipe.seed, step, recipe.optim.groups)
        part = (..., *judged.inner(batch, recipe.data.crop, generator))
        descriptor = nets[0].judge(batch.noisy)
        noisy = batch.noisy[part].contiguous(memory_format=torch.channels_last)
        visible = None if batch.visible is None else batch.visible[part]
        with torch.autocast("cpu", torch.bfloat16):
            results = [net(noisy, visible=visible, noise=descriptor).float() for net in nets]
        wrong = [(y.clamp(0, 1) - batch.clean[part]).square().mean((1, 2, 3)) for y in results]
        rows.append((descriptor.float(), torch.stack(wrong, 1)))
    descriptors, errors = zip(*rows, strict=True)
    return torch.cat(descriptors), torch.cat(errors)


def fit_shares(conditions: Conditions, descriptors: Tensor, errors: Tensor) -> float:
    """Fits how kernels are mixed, in place; the mean loss in dB against the best choice."""
    conditions.mean.copy_(descriptors.mean(0))
    conditions.deviation.copy_(descriptors.std(0) + 1e-3)
    decibels = 10 * torch.log10(errors + SOFT)
    decibels = decibels - decibels.min(1, keepdim=True).values
    optimiser = torch.optim.AdamW(conditions.parameters(), lr=RATE, weight_decay=DECAY)
    sigma = torch.zeros(1, 1)
    for _ in range(PASSES):
        shares = conditions(descriptors, sigma, torch.ones(1, 1)).shares
        loss = (shares * decibels.clamp(max=3)).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float((shares * decibels).detach().sum(1).mean())


def begin(net: UNet, recipe: Recipe, crops: Crops) -> str:
    """Give a net the kernels that its recipe joins, and mix them as suits crops of the recipe.

    Returns a line on how well they are mixed. Raises UsageError: a file is no net that fits.
    """
    nets = [_opened(Path(name)) for name in recipe.join]
    state = joined(net, nets)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise UsageError(f"join: {' '.join(str(error).split())[:200]}") from error
    descriptors, errors = errors_of(nets, recipe, crops, recipe.join_steps)
    loss = fit_shares(net.conditions, descriptors, errors)
    return f"{len(recipe.join)} nets joined, {loss:.2f} dB behind the better one of each crop"


def _opened(path: Path) -> UNet:
    """A net with a judge from its weights. Raises UsageError: they are of no such net."""
    try:
        state, about = read_safetensors(path)
        net = build(about["arch"], json.loads(about["config"]), state)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UsageError(f"{path}: cannot be joined: {' '.join(str(error).split())}") from error
    if not (isinstance(net, UNet) and net.config.judge and not net.config.kernels):
        raise UsageError(f"{path}: cannot be joined: it is no plain net with a judge")
    return net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
