"""Trains the net that finds drifting lines: see nets.drift.

    python -m mdn.training.drift models/drift/lessons.toml --data DIR -o FOLDER

Crops are drawn as for the gates, some of them stretched along the lines, as slats and evening skies
are. Half of those of a batch get lines that drift: offsets that remember the last one for a while
or for ever, smooth ones, and jumps; whatever repeats, such as slats, is a picture. What is learned
is the likelihood of the offsets, and the decibels that subtracting the net's own gains, where noise
of the crop's strength stays in part.

FOLDER gets weights.safetensors and training.csv, the crops, and a checkpoint: a second run goes on.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from mdn.nets.drift import DriftNet
from mdn.training import checkpoint, recipe_parse
from mdn.training.data import Crops
from mdn.training.degrade import generator_for
from mdn.training.drift_lessons import Batch, Lessons, StretchedCrops, draw_batch, draw_lessons
from mdn.training.lessons import draw_or_load
from mdn.training.log import LOG, write_table
from mdn.training.script import plain_errors

STEPS, RATE, WARMUP = 1600, 2e-3, 100
STAYS = 1 / 255, 0.25  # error of a denoised picture, in part of its sigma
HARM = 2.0  # what a decibel weighs that is lost where nothing drifts
DECIBELS = 0.1  # weight of the decibels beside the likelihood..
MOST = 6.0  # ..of which a crop can lose or gain so many
OUTLIER = 4.0  # times the energy to be expected: from there on its logarithm counts
JITTER = 0.2 / 255  # of the true offsets: nobody need know them better
EVERY = 100  # steps between two lines of training.csv

Rows = list[dict[str, object]]


def losses(net: DriftNet, batch: Batch, jitter: Tensor) -> tuple[Tensor, Tensor]:
    """(B,): decibels lost by the net's offsets against none; minus their log likelihood a line."""
    x, added, sigma = batch
    chain = net(x)
    rest = (STAYS[0] + STAYS[1] * sigma).square()
    stays = (chain.mean - chain.mean.mean(1, keepdim=True) - added).square().mean(1)
    lost = 10 * torch.log10((rest + stays) / (rest + added.square().mean(1)))
    off = added + JITTER * jitter - chain.mean
    ends = 2 * chain.side * off[:, 1:] * off[:, :-1]
    energy = (chain.diagonal * off.square()).sum(1) + ends.sum(1)
    energy = energy / added.shape[1]
    energy = torch.where(energy > OUTLIER, OUTLIER * (1 + (energy / OUTLIER).log()), energy)
    return lost, (energy - chain.pivots.log().mean(1)) / 2


def train(lessons: Lessons, held_out: Lessons, seed: int, folder: Path) -> DriftNet:
    """The net after STEPS steps; goes on from the folder's checkpoint."""
    torch.manual_seed(seed)
    net = DriftNet()
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.01)
    begun, rows = _resume(folder, net, optimiser)
    for step in range(begun, STEPS):
        optimiser.param_groups[0]["lr"] = RATE * lr_scale(step)
        optimiser.zero_grad()
        _loss(net, lessons, generator_for(seed, step, 0)).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % EVERY == 0 or step + 1 == STEPS:
            rows.append({"step": step + 1, **report(net, held_out)})
            write_table(folder / LOG, list(rows[0]), rows)
            state = {"net": net.state_dict(), "optimiser": optimiser.state_dict()}
            checkpoint.save_state(folder, state | {"step": step + 1, "rows": rows})
    return net.eval()


def _resume(folder: Path, net: DriftNet, optimiser: torch.optim.Optimizer) -> tuple[int, Rows]:
    """Steps done and the rows of the log, from the folder's checkpoint where there is one."""
    state = checkpoint.load_state(folder)
    if state is None:
        return 0, []
    net.load_state_dict(state["net"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["rows"]


def lr_scale(step: int) -> float:
    """The learning rate as a share of RATE: it rises for WARMUP steps, and falls as a cosine."""
    return min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * step / STEPS))


def _loss(net: DriftNet, lessons: Lessons, generator: torch.Generator) -> Tensor:
    """Of one batch; where lines drift, a decibel counts for less than where they do not."""
    batch = draw_batch(lessons, generator)
    jitter = torch.randn(batch[1].shape, generator=generator)
    lost, unlikely = losses(net, batch, jitter)
    weight = torch.where(batch[1].any(1), 1.0, HARM)
    return (DECIBELS * weight * MOST * torch.tanh(lost / MOST) + unlikely).mean()


@torch.no_grad()
def report(net: DriftNet, lessons: Lessons) -> dict[str, object]:
    """dB gained on held-out crops with drift, and by those without any; the worst of both."""
    lost, there, unlikely = [], [], []
    for step in range(12):
        generator = generator_for(1, step, 0)
        batch = draw_batch(lessons, generator)
        each, other = losses(net, batch, torch.randn(batch[1].shape, generator=generator))
        lost.append(each)
        unlikely.append(other)
        there.append(batch[1].any(1))
    gained, drifts = -torch.cat(lost), torch.cat(there)
    result: dict[str, object] = {"unlikely": round(float(torch.cat(unlikely).mean()), 3)}
    for name, part in (("drift", gained[drifts]), ("none", gained[~drifts])):
        result[name] = round(float(part.mean()), 3)
        result[f"{name}, worst"] = round(float(part.min()), 2)
    return result


@plain_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("recipe", type=Path, help="whose crops; [optim] steps batches of them")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    recipe = recipe_parse.load(options.recipe)

    def draw(crops: Crops, steps: range) -> dict[str, Tensor]:
        return vars(draw_lessons(recipe, crops, steps))

    seen, test = draw_or_load(recipe, options.data, options.out, draw, StretchedCrops)
    net = train(Lessons(**seen), Lessons(**test), recipe.seed, options.out)
    halves = {key: values.half() for key, values in net.state_dict().items()}
    save_file(halves, options.out / checkpoint.WEIGHTS)


if __name__ == "__main__":
    main()
