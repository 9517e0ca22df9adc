"""Trains the two gates of a model that has a net for white noise beside its own: see nets.gate.

    python -m mdn.training.gate models/photo/gate.toml -m photo --data DIR -o FOLDER

Crops are drawn as for any training, and denoised by both nets. What each makes of a crop, and what
the crop was before, is the gates' lesson: they learn to name the net with the least error and the
share of its result with the least error, and all the more the larger the difference is. Judge and
nets stay as they are.

FOLDER gets weights.safetensors, those of the model with new gates, gate.csv, and the lessons,
which a second run, such as one with another --seed, takes from there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn.errors import UsageError, plain_errors
from mdn.nets.gate import CHOICES, Gate, SecondGate
from mdn.nets.unet import UNet
from mdn.registry import store
from mdn.registry.model import load_model
from mdn.training import checkpoint, recipe_parse
from mdn.training.data import Crops
from mdn.training.gate_lessons import Lessons, draw_lessons, mixed
from mdn.training.lessons import draw_or_load
from mdn.training.log import write_table

SOFTNESS = 0.5  # dB: errors closer than that are nearly as good as each other
FAR, LARGE = 6.0, 20.0  # dB: a difference larger than that counts no more; see fit
HARM = 0.1  # dB below the picture as it came, from which on it is counted
EPOCHS, BATCH, RATE, WARMUP = 16, 64, 2e-3, 50
FEWEST_CELLS = 0.25  # of a crop's: the least share of them that a batch is shown


def fit(lessons: Lessons, seed: int, epochs: int = EPOCHS, *, second: bool = False) -> Gate:
    """A gate, or a second one, that names the net and the share of its result with least error.

    First by cross entropy with soft targets, weighed by what is at stake, and then, from where that
    leads, by the loss that is to be expected, to which a large one adds no more than LARGE. The
    share is the probability that the picture is not to be left alone: where that is in doubt, half
    of a result loses less than all of it or nothing may. Each batch is shown a random share of the
    cells, since pictures have more of them, or fewer, than crops do.
    """
    torch.manual_seed(seed)
    kind = SecondGate if second else Gate
    gate = kind(lessons.seen.shape[1], lessons.descriptor.shape[1])
    gate.mean.copy_(lessons.descriptor.mean(0))
    gate.deviation.copy_(lessons.descriptor.std(0).clamp(min=1e-3))
    optimiser = torch.optim.AdamW(gate.parameters(), lr=RATE, weight_decay=0.05)
    target = (-lessons.errors / SOFTNESS).softmax(1)
    weight = lessons.regret.max(1, keepdim=True).values.clamp(max=FAR)
    count = len(target) // BATCH
    for epoch in range(epochs):
        for number, rows in enumerate(torch.randperm(len(target))[: count * BATCH].split(BATCH)):
            done = epoch * count + number
            rate = min(1.0, (done + 1) / WARMUP, 1.5 * (1 - done / (epochs * count)))
            optimiser.param_groups[0]["lr"] = RATE * rate
            seen, descriptor, *out = lessons.inputs(gate, rows)
            sure = gate(_some_cells(seen), descriptor, *map(_some_cells, out)).log_softmax(1)
            if epoch < epochs // 2:
                error = -target[rows] * sure * weight[rows]
            else:
                share = 1 - sure[:, :1].exp()
                lost = mixed(lessons.wrong[rows], share) - lessons.least[rows]
                error = sure[:, 1:].softmax(1) * lost / (1 + lost / LARGE)
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
def shares(gate: Gate, lessons: Lessons) -> Tensor:
    """(N, 3): of each of CHOICES in the result: the picture as it came, and the likelier net's."""
    parts = torch.arange(len(lessons.clean)).split(BATCH)
    sure = torch.cat([gate(*lessons.inputs(gate, rows)) for rows in parts]).softmax(1)
    net = F.one_hot(1 + sure[:, 1:].argmax(1), len(CHOICES))
    return torch.cat([sure[:, :1], (1 - sure[:, :1]) * net[:, 1:]], 1)


def ways_of(gate: Gate, second: Gate, lessons: Lessons) -> dict[str, Tensor]:
    """Ways of choosing, of each the shares of CHOICES (N, 3): the gates, and what bounds them."""
    of_one = torch.eye(len(CHOICES))
    always = [each.expand(len(lessons.clean), -1) for each in of_one]
    return {f"always {name}": each for name, each in zip(CHOICES, always, strict=True)} | {
        "the gate": shares(gate, lessons),
        "the second gate": shares(second, lessons),
        "oracle, all or nothing": of_one[lessons.errors.argmin(1)],
    }


def table(lessons: Lessons, ways: dict[str, Tensor]) -> list[dict[str, object]]:
    """A row for each way of choosing, and clean or noisy crops: mean PSNR, and what was lost.

    ways: for each of them (N, 3), shares of CHOICES.
    """
    rows: list[dict[str, object]] = []
    for name, way in ways.items():
        error = lessons.error_of(way)
        lost, harm = error - lessons.least[:, 0], error - lessons.errors[:, 0]
        for kind, part in (("clean", lessons.clean), ("noisy", ~lessons.clean)):
            rows.append(
                {
                    "chosen by": name,
                    "crops": kind,
                    "PSNR": round(-float(error[part].mean()), 3),
                    "lost": round(float(lost[part].mean()), 3),
                    "most lost": round(float(lost[part].max()), 1),
                    "harmed": int((harm[part] > HARM).sum()),
                    "of": int(part.sum()),
                }
            )
    return rows


@plain_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("recipe", type=Path, help="whose crops; [optim] steps batches of them")
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, help="of the gate's first weights; else the recipe's")
    fewer = "passes over the lessons for the second gate; fewer where it learns them by heart"
    parser.add_argument("--second-epochs", type=int, default=EPOCHS, help=fewer)
    options = parser.parse_args()
    recipe = recipe_parse.load(options.recipe)
    seed = recipe.seed if options.seed is None else options.seed
    own, coarse, white = _nets(options.model)

    def draw(crops: Crops, steps: range) -> dict[str, Tensor]:
        return vars(draw_lessons(recipe, crops, coarse, white, steps))

    seen, held_out = draw_or_load(recipe, options.data, options.out, draw, nets=(coarse, white))
    lessons, test = Lessons(**seen), Lessons(**held_out)
    gate = fit(lessons, seed)
    second = fit(lessons, seed, options.second_epochs, second=True)
    rows = table(test, ways_of(gate, second, test))
    write_table(options.out / "gate.csv", list(rows[0]), rows)
    save(own, gate, second, options.out / checkpoint.WEIGHTS)


def _nets(name: str) -> tuple[UNet, UNet, UNet]:
    """A model's own net, and those that it has for coarse and for white noise.

    Raises ModelError: one of them is missing or damaged. UsageError: they have no judge.
    """
    model = load_model(store.find(name), torch.device("cpu"))
    card = model.card
    nets = [model.net]
    for other in (card.coarse, card.white):
        nets.append(load_model(store.find(other), torch.device("cpu")).net if other else model.net)
    own, coarse, white = (_with_judge(net, name) for net in nets)
    return own, coarse, white


def _with_judge(net: nn.Module, name: str) -> UNet:
    if not isinstance(net, UNet) or not net.config.judge:
        raise UsageError(f"{name}: gates are for a model that judges the noise, such as photo")
    return net


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
