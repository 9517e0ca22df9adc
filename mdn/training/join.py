"""Joins nets of one judge into one whose kernels their judge's descriptor mixes: see nets.mixed.

    python -m mdn.training.join models/photo models/photo-white --recipe RECIPE --data PICTURES -o OUT

Each kernel begins as that of one of the nets, and how they are mixed as what makes the least error
on crops of the recipe: on `steps` of its steps all nets are tried, and the shares are fitted to their
errors. What comes out is not yet good at anything new; it is what a training begins with.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from mdn.nets.mixed import Conditions
from mdn.nets.unet import UNet
from mdn.registry import load
from mdn.registry.cards import read_card
from mdn.training import checkpoint, judged, recipe_files, recipe_parse
from mdn.training.build import build
from mdn.training.data import Crops, load_pictures, split
from mdn.training.degrade import generator_for, join_groups
from mdn.training.recipe import Recipe
from mdn.training.script import plain_errors

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
    for number, layer in enumerate(layers):
        for part in ("weight", "bias"):
            gains = [each[f"gains.{number}.{part}"] for each in states]
            state[f"{layer}.gain.{part}"] = torch.cat(gains)
    return state


@torch.no_grad()
def errors_of(
    nets: list[UNet], recipe: Recipe, crops: Crops, steps: int
) -> tuple[Tensor, Tensor]:
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
        shares = conditions(descriptors, sigma).shares
        loss = (shares * decibels.clamp(max=3)).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float((shares * decibels).detach().sum(1).mean())


@plain_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("models", type=Path, nargs="+", help="folders of nets of one shape")
    parser.add_argument("--recipe", required=True, help="of the net that comes out")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    recipe = recipe_parse.load(recipe_files.find(options.recipe), {"init_weights": ""})
    nets = [load.load(read_card(folder, "a net"), torch.device("cpu")) for folder in options.models]
    net = build(recipe)
    net.load_state_dict(joined(net, nets))
    pictures, _ = split(load_pictures(recipe.data.sources, options.data), recipe.data.hold_out)
    crops = Crops(
        pictures, recipe.side, torch.device("cpu"), recipe.data.scales, recipe.data.own_size
    )
    descriptors, errors = errors_of(nets, recipe, crops, options.steps)
    loss = fit_shares(net.conditions, descriptors, errors)
    print(f"{len(errors)} crops: {loss:.2f} dB behind the best of the nets for each")  # noqa: T201
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint.save_weights(
        options.out / checkpoint.WEIGHTS, net, recipe.arch, net.state_dict()
    )


if __name__ == "__main__":
    main()
