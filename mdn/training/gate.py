"""Trains the two gates of a model that has a net for white noise beside its own: see nets.gate.

    python -m mdn.training.gate models/photo/gate.toml -m photo --data DIR -o FOLDER

Crops are drawn as for any training, and denoised by both nets. What each makes of a crop, and what
the crop was before, is the gates' lesson: they learn to name the one with the least error, and all
the more the larger the difference is. Judge and nets stay as they are.

FOLDER gets weights.safetensors, those of the model with new gates, gate.csv, and the lessons,
which a second run, such as one with another --seed, takes from there.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from mdn.nets.gate import CHOICES, Gate, SecondGate, taken_out
from mdn.nets.unet import UNet
from mdn.registry import store
from mdn.registry.model import load_model
from mdn.training import checkpoint, judged, recipe_parse
from mdn.training.data import Crops
from mdn.training.degrade import join_groups
from mdn.training.lessons import draw_or_load
from mdn.training.recipe import Recipe

FLOOR = 6e-6  # mean squared error below which nobody sees a difference: 52 dB
SOFTNESS = 0.5  # dB: errors closer than that are nearly as good as each other
FAR, LARGE = 6.0, 20.0  # dB: a difference larger than that counts no more; see fit
EPOCHS, BATCH, RATE, WARMUP = 16, 64, 2e-3, 50
FEWEST_CELLS = 0.25  # of a crop's: the least share of them that a batch is shown


@dataclass(frozen=True)
class Lessons:
    """Crops as the judge sees them, and what became of each.

    seen: (N, width, n), descriptor: (N, size), see nets.judge. errors: (N, 3), dB, of CHOICES; less
    is better. clean: (N,) bool, whether nothing was added to it. taken_out: (N, 3 width, m), see
    nets.gate.
    """

    seen: Tensor
    descriptor: Tensor
    errors: Tensor
    clean: Tensor
    taken_out: Tensor

    @property
    def regret(self) -> Tensor:
        """(N, 3): dB lost by each choice against the best one."""
        return self.errors - self.errors.min(1, keepdim=True).values

    def inputs(self, gate: Gate, rows: Tensor) -> tuple[Tensor, ...]:
        """Of some lessons, what a gate takes."""
        given = self.seen[rows].float(), self.descriptor[rows]
        if not isinstance(gate, SecondGate):
            return given
        return *given, self.taken_out[rows].float()


@torch.no_grad()
def draw_lessons(recipe: Recipe, crops: Crops, coarse: UNet, white: UNet, steps: range) -> Lessons:
    """What the two nets make of the crops of some steps."""
    edge = (recipe.side - recipe.data.crop) // 2
    span = slice(edge, edge + recipe.data.crop)
    inner = (..., span, span)
    rows: list[tuple[Tensor, ...]] = []
    for step in steps:
        groups = range(recipe.optim.groups)
        sample = join_groups([judged.draw_group(recipe, crops, step, n) for n in groups])
        assert sample.added is not None
        cells = coarse.judge.cells(sample.noisy)
        descriptor = coarse.judge.pool(cells)
        noisy, clean = sample.noisy[inner].contiguous(), sample.clean[inner]
        with torch.autocast("cpu", torch.bfloat16):
            made = [net(noisy, noise=descriptor).float() for net in (coarse, white)]
        truth = clean.clamp(0, 1)
        errors = [(x.clamp(0, 1) - truth).square().mean((1, 2, 3)) for x in (noisy, *made)]
        level = 10 * torch.log10(torch.stack(errors, 1) + FLOOR)
        unchanged = ~sample.added[inner].flatten(1).any(1)
        out = taken_out(coarse.judge, noisy, made)
        rows.append((cells.seen.half(), descriptor, level, unchanged, out.half()))
    return Lessons(*(torch.cat(part) for part in zip(*rows, strict=True)))


def fit(lessons: Lessons, seed: int, *, second: bool = False) -> Gate:
    """A gate, or a second one, that names the choice with the least error.

    First by cross entropy with soft targets, weighed by what is at stake, and then, from where that
    leads, by the loss that is to be expected of its choices, to which a large one adds no more than
    LARGE. Each batch is shown a random share of the cells, since pictures have more of them, or
    fewer, than crops do.
    """
    torch.manual_seed(seed)
    kind = SecondGate if second else Gate
    gate = kind(lessons.seen.shape[1], lessons.descriptor.shape[1])
    gate.mean.copy_(lessons.descriptor.mean(0))
    gate.deviation.copy_(lessons.descriptor.std(0).clamp(min=1e-3))
    optimiser = torch.optim.AdamW(gate.parameters(), lr=RATE, weight_decay=0.05)
    target = (-lessons.errors / SOFTNESS).softmax(1)
    weight = lessons.regret.max(1, keepdim=True).values.clamp(max=FAR)
    lost = lessons.regret / (1 + lessons.regret / LARGE)
    count = len(target) // BATCH
    for epoch in range(EPOCHS):
        for number, rows in enumerate(torch.randperm(len(target))[: count * BATCH].split(BATCH)):
            done = epoch * count + number
            rate = min(1.0, (done + 1) / WARMUP, 1.5 * (1 - done / (EPOCHS * count)))
            optimiser.param_groups[0]["lr"] = RATE * rate
            seen, descriptor, *out = lessons.inputs(gate, rows)
            sure = gate(_some_cells(seen), descriptor, *map(_some_cells, out)).log_softmax(1)
            if epoch < EPOCHS // 2:
                error = -target[rows] * sure * weight[rows]
            else:
                error = sure.exp() * lost[rows]
            optimiser.zero_grad()
            error.sum(1).mean().backward()
            optimiser.step()
    return gate.eval()


def _some_cells(cells: Tensor) -> Tensor:
    """A random share of the cells: (B, width, n) -> (B, width, fewer), the same for the batch."""
    count = cells.shape[2]
    share = FEWEST_CELLS + (1 - FEWEST_CELLS) * float(torch.rand(()))
    return cells[:, :, torch.randperm(count)[: max(1, round(share * count))]]


@torch.no_grad()
def logits(gate: Gate, lessons: Lessons) -> Tensor:
    """(N, 3), of CHOICES.

    In use a picture is left alone only where the gate is surer than of each other choice: see
    pipeline.reading.SURE.
    """
    parts = torch.arange(len(lessons.clean)).split(BATCH)
    return torch.cat([gate(*lessons.inputs(gate, rows)) for rows in parts])


def table(lessons: Lessons, chosen: dict[str, Tensor]) -> list[dict[str, object]]:
    """A row for each way of choosing, and clean or noisy crops: mean PSNR, and what was lost."""
    rows: list[dict[str, object]] = []
    for name, index in chosen.items():
        for kind, part in (("clean", lessons.clean), ("noisy", ~lessons.clean)):
            got, regret = (
                x.gather(1, index[:, None])[part, 0] for x in (lessons.errors, lessons.regret)
            )
            rows.append(
                {
                    "chosen by": name,
                    "crops": kind,
                    "PSNR": round(-float(got.mean()), 3),
                    "lost": round(float(regret.mean()), 3),
                    "most lost": round(float(regret.max()), 1),
                    "harmed": int((got > lessons.errors[part, 0] + 0.1).sum()),
                    "of": int(part.sum()),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("recipe", type=Path, help="whose crops; [optim] steps batches of them")
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, help="of the gate's first weights; else the recipe's")
    options = parser.parse_args()
    recipe = recipe_parse.load(options.recipe)
    seed = recipe.seed if options.seed is None else options.seed
    own, coarse, white = _nets(options.model)

    def draw(crops: Crops, steps: range) -> dict[str, Tensor]:
        return vars(draw_lessons(recipe, crops, coarse, white, steps))

    seen, held_out = draw_or_load(recipe, options.data, options.out, draw)
    lessons, test = Lessons(**seen), Lessons(**held_out)
    gate = fit(lessons, seed)
    second = fit(lessons, seed, second=True)
    ways = {f"always {name}": torch.full((len(test.clean),), n) for n, name in enumerate(CHOICES)}
    ways["the gate"] = logits(gate, test).argmax(1)
    ways["the second gate"] = logits(second, test).argmax(1)
    ways["who knows"] = test.errors.argmin(1)
    rows = table(test, ways)
    with (options.out / "gate.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    save(own, gate, second, options.out / checkpoint.WEIGHTS)


def _nets(name: str) -> tuple[UNet, UNet, UNet]:
    """A model's own net, and those that it has for coarse and for white noise."""
    model = load_model(store.find(name), torch.device("cpu"))
    card = model.card
    nets = [model.net]
    for other in (card.coarse, card.white):
        nets.append(load_model(store.find(other), torch.device("cpu")).net if other else model.net)
    own, coarse, white = (net for net in nets if isinstance(net, UNet))
    return own, coarse, white


def save(net: UNet, gate: Gate, second: Gate, path: Path) -> None:
    """The weights of a net with these gates."""
    whole = UNet(replace(net.config, gate=True, second_gate=True))
    state = net.state_dict()
    for name, each in (("gate", gate), ("second_gate", second)):
        state |= {f"{name}.{key}": value for key, value in each.state_dict().items()}
    whole.load_state_dict(state)
    checkpoint.save_weights(path, whole, "unet", state)


if __name__ == "__main__":
    main()
