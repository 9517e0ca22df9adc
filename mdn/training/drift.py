"""Trains the net that finds drifting lines: see nets.drift.

    python -m mdn.training.drift models/drift/recipe.toml --data DIR -o FOLDER

Crops are drawn as for the gates, some of them stretched along the lines, as slats and evening skies
are. Half of those of a batch get lines that drift: offsets that remember the last one for a while
or for ever, smooth ones, and jumps; whatever repeats, such as slats, is a picture. What is learned
is the likelihood of the offsets, and the decibels that subtracting the net's own gains, where noise
of the crop's strength stays in part.

FOLDER gets weights.safetensors and training.csv, the crops, and a checkpoint: a second run goes on.
"""

from __future__ import annotations

import argparse
import csv
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from mdn.io.atomic import replacing
from mdn.nets.drift import STRIP, DriftNet
from mdn.training import checkpoint, judged, recipe_parse
from mdn.training.data import Crops
from mdn.training.degrade import generator_for, join_groups
from mdn.training.lessons import draw_or_load
from mdn.training.recipe import Recipe

SIZE = 0.7 / 255, 40 / 255  # deviation of offsets, drawn evenly by its logarithm
STRETCHED = 0.12  # share of the crops, in `draw_lessons`
SLATS = 0.1  # share of them with slats
STEPS, BATCH, RATE, WARMUP = 1600, 16, 2e-3, 100
FEWEST = 96  # rows and columns that are looked at, at least
STAYS = 1 / 255, 0.25  # error of a denoised picture, in part of its sigma
HARM = 2.0  # what a decibel weighs that is lost where nothing drifts
DECIBELS = 0.1  # weight of the decibels beside the likelihood..
MOST = 6.0  # ..of which a crop can lose or gain so many
OUTLIER = 4.0  # times the energy to be expected: from there on its logarithm counts
JITTER = 0.2 / 255  # of the true offsets: nobody need know them better
EVERY = 100  # steps between two lines of training.csv

Batch = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Lessons:
    """Noisy crops (N, 3, H, W), not cut off, and the deviation of their noise (N,)."""

    noisy: Tensor
    sigma: Tensor


class StretchedCrops(Crops):
    """Some of them show a few columns only, stretched to the width of a crop."""

    def draw(self, count: int, generator: torch.Generator, size: int = 0) -> Tensor:
        crops = super().draw(count, generator, size)
        dice = torch.rand(count, 2, generator=generator).tolist()
        for index, (whether, how) in enumerate(dice):
            if whether < STRETCHED:
                few = crops[index : index + 1, ..., : int(2 * 32**how)]
                crops[index] = F.interpolate(few, crops.shape[2:], mode="bilinear")[0]
        return crops


def draw_drift(rows: int, generator: torch.Generator) -> Tensor:
    """Offsets (rows,) of mean 0, nominal range 0..1."""
    kind, amount, other, size = torch.rand(4, generator=generator).tolist()
    offsets = torch.randn(rows, generator=generator)
    if kind < 0.75:  # an autoregression; one in ten is a random walk
        memory = 1.0 if amount > 0.9 else 1 - 0.7 * 10 ** (-2 * amount / 0.9)
        values = offsets.tolist()
        values[0] /= math.sqrt(max(1 - memory**2, 0.01))
        for row in range(1, rows):
            values[row] += memory * values[row - 1]
        offsets = torch.tensor(values)
    elif kind < 0.92:  # smooth, with something of a fresh one
        reach = 0.5 * 30**amount
        taps = torch.exp(-0.5 * (torch.arange(-48, 49) / reach).square())
        smooth = F.conv1d(F.pad(offsets[None], (48, 48), mode="reflect"), taps[None, None])[0]
        offsets = smooth / smooth.std() + 0.3 * other * offsets
    else:  # jumps
        offsets = (offsets * (torch.rand(rows, generator=generator) < 0.02 * 20**amount)).cumsum(0)
    offsets = offsets - offsets.mean()
    return offsets * SIZE[0] * (SIZE[1] / SIZE[0]) ** size / offsets.std().clamp(min=0.01)


def draw_slats(rows: int, generator: torch.Generator) -> Tensor:
    """(rows,): what repeats along the lines and is a picture: waves, bars, slats of any shade."""
    kind, period, size, phase = torch.rand(4, generator=generator).tolist()
    period, size = 2 * 48**period, 0.3 * 0.03**size
    place = torch.arange(rows) / period + phase
    if kind < 0.6:
        wave = torch.sin(2 * math.pi * place)
        return size * (wave if kind < 0.3 else wave.sign())
    return size * torch.randn(rows + 2, generator=generator)[place.long()]


@torch.no_grad()
def draw_lessons(recipe: Recipe, crops: Crops, steps: range) -> Lessons:
    """Crops of some steps."""
    groups = range(recipe.optim.groups)
    sample = join_groups(
        [judged.draw_group(recipe, crops, step, n) for step in steps for n in groups]
    )
    assert sample.added is not None
    return Lessons(sample.noisy.half(), sample.added.square().mean((1, 2, 3)).sqrt())


def draw_batch(lessons: Lessons, generator: torch.Generator) -> Batch:
    """Parts of BATCH crops (B, C, h, w) as files hold them, what was added (B, h), and sigmas."""
    rows, columns, gray = torch.rand(3, generator=generator).tolist()
    side = lessons.noisy.shape[2]
    high = FEWEST + int(rows * (side - FEWEST + 1))
    wide = (FEWEST + int(columns * (side - FEWEST + 1))) // STRIP * STRIP
    parts, added, sigmas = [], [], []
    for number, (which, top, left, flip, level) in enumerate(
        torch.rand(BATCH, 5, generator=generator).tolist()
    ):
        index = int(which * len(lessons.noisy))
        down, across = int(top * (side - high + 1)), int(left * (side - wide + 1))
        crop = lessons.noisy[index, :, down : down + high, across : across + wide].float()
        if gray < 0.5:  # of one colour: the mean of three has less noise
            crop = crop[int(3 * gray / 0.5), None].expand(1, -1, -1)
        crop = crop.flip(1) if flip < 0.5 else crop
        crop = crop + draw_slats(high, generator)[:, None] if level < SLATS else crop
        offsets = draw_drift(high, generator) if number % 2 else torch.zeros(high)
        parts.append(((crop + offsets[:, None]).clamp(0, 1) * 255).round() / 255)
        added.append(offsets)
        sigmas.append(lessons.sigma[index])
    return torch.stack(parts), torch.stack(added), torch.stack(sigmas)


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
    begun, kept = 0, folder / "checkpoint.pt"
    rows: list[dict[str, object]] = []
    if kept.exists():
        state = torch.load(kept, weights_only=False)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        begun, rows = state["step"], state["rows"]
    for step in range(begun, STEPS):
        generator = generator_for(seed, step, 0)
        rate = min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        optimiser.param_groups[0]["lr"] = RATE * rate
        batch = draw_batch(lessons, generator)
        jitter = torch.randn(batch[1].shape, generator=generator)
        lost, unlikely = losses(net, batch, jitter)
        weight = torch.where(batch[1].any(1), 1.0, HARM)
        loss = (DECIBELS * weight * MOST * torch.tanh(lost / MOST) + unlikely).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % EVERY == 0 or step + 1 == STEPS:
            rows.append({"step": step + 1, **report(net, held_out)})
            _write(rows, folder / "training.csv")
            state = {"net": net.state_dict(), "optimiser": optimiser.state_dict()}
            with replacing(kept) as file:
                torch.save(state | {"step": step + 1, "rows": rows}, file)
    return net.eval()


def _write(rows: list[dict[str, object]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


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
