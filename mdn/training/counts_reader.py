"""Trains the reader of counted light: see nets.counts_reader and training.counted_light.

    python -m mdn.training.counts_reader models/cells/reader.toml --data PICTURES -o FOLDER

FOLDER gets reader.safetensors and reader.csv, the errors on pictures that are held out.
"""

import argparse
import sys
import time
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.errors import plain_errors
from mdn.nets.counts_reader import NUMBERS, CountsReader, CountsReaderConfig, Scale, scale_of
from mdn.registry.model import read_safetensors, save_weights
from mdn.training.counted_light import Lesson, Scene, draw, draw_drawn, draw_other, scene, targets
from mdn.training.data import load_pictures, split
from mdn.training.log import write_table

T = TypeVar("T")

FAR = 3.0  # errors, in log2, beyond which more do not count as squares
KIND = ("tell_apart.", "kind_value.", "kind.")  # what reads whether light was counted
CHOICE = 0.5  # weight of the loss of the logit


@dataclass(frozen=True)
class ReaderRecipe:
    """How a reader is trained."""

    sources: tuple[str, ...]  # folders of clean pictures, of those that --data names
    steps: int
    seed: int = 1
    hold_out: int = 25  # every so many-th picture is held out
    others: int = 300  # pictures of no counted light
    windows: int = 96  # of a step
    most: int = 32  # windows of a picture
    fewest: int = 6
    rate: float = 1.2e-3
    decay: float = 0.01
    warmup: int = 100
    average: float = 0.998  # decay of the averaged weights
    tests: int = 300  # pictures that errors are measured on
    other_share: float = 0.2  # of lessons that are no counted light
    drawn_share: float = 0.0  # of lessons that are drawn by formula
    kind_alone: bool = False  # whether nothing but the choice is trained


def main_loss(
    net: CountsReader,
    windows: Tensor,
    scale: Scale,
    target: Tensor,
    some: Tensor,
    counted: Tensor,
    *,
    alone: bool = False,
) -> Tensor:
    """Negative log likelihood of the numbers, and cross entropy of the choice, or that `alone`."""
    numbers, log_spread, logit = net(windows, scale)
    error = (numbers - target).abs()
    square = torch.where(error < FAR, error.square(), 2 * FAR * error - FAR**2)
    likelihood = (0.5 * square * torch.exp(-2 * log_spread) + log_spread).mean(1)
    # The spread alone would excuse what is hard to read; the numbers themselves are what counts.
    likelihood = likelihood + 0.5 * F.smooth_l1_loss(
        numbers[:, :2], target[:, :2], reduction="none", beta=0.2
    ).mean(1)
    choice = F.binary_cross_entropy_with_logits(logit, counted.float(), reduction="none")
    return choice.mean() if alone else (likelihood * some).mean() + CHOICE * choice.mean()


def train(
    recipe: ReaderRecipe, scenes: list[Scene], out: Path, begin: Path | None = None
) -> CountsReader:
    """The averaged net after all steps; said every 200. begin: weights to go on from."""
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    others = others_of(scenes, recipe, recipe.seed)
    net = CountsReader(CountsReaderConfig())
    if begin is not None:
        before = {k: v.float() for k, v in read_safetensors(begin)[0].items()}
        net.load_state_dict(before, strict=not recipe.kind_alone)
    if recipe.kind_alone:
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith(KIND))
    mean = {key: value.clone() for key, value in net.state_dict().items()}
    optimiser = torch.optim.AdamW(
        [p for p in net.parameters() if p.requires_grad], lr=recipe.rate, weight_decay=recipe.decay
    )
    start, total = time.monotonic(), 0.0
    for step in range(recipe.steps):
        rate = min(1.0, (step + 1) / recipe.warmup, 1.4 * (1 - step / recipe.steps))
        optimiser.param_groups[0]["lr"] = recipe.rate * rate
        span = torch.randint(recipe.fewest, recipe.most + 1, (), generator=generator)
        lessons = drawn(recipe, scenes, others, recipe.windows // int(span), int(span), generator)
        loss = main_loss(net, *batch_of(lessons), alone=recipe.kind_alone)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        decay = min(recipe.average, step / (step + 10))
        with torch.no_grad():
            for key, value in net.state_dict().items():
                mean[key].lerp_(value, 1 - decay)
        total += float(loss.detach())
        if (step + 1) % 200 == 0:
            sys.stdout.write(f"{step + 1} {total / 200:.4f} {time.monotonic() - start:.0f} s\n")
            sys.stdout.flush()
            total = 0.0
            save(mean, net, out)
    net.load_state_dict(mean)
    return net.eval()


def drawn(
    recipe: ReaderRecipe,
    scenes: list[Scene],
    others: list[Lesson],
    count: int,
    windows: int,
    generator: torch.Generator,
) -> list[Lesson]:
    """So many lessons of so many windows, a share of them of the others."""
    lessons = []
    for _ in range(count):
        place = float(torch.rand((), generator=generator))
        if place > 1 - recipe.drawn_share:
            lessons.append(draw_drawn(windows, generator))
        elif others and place < recipe.other_share:
            other = _one_of(others, generator)
            chosen = torch.randperm(len(other.windows), generator=generator)[:windows]
            lessons.append(replace(other, windows=other.windows[chosen]))
        else:
            lessons.append(draw(_one_of(scenes, generator), windows, generator))
    return lessons


def _one_of(things: list[T], generator: torch.Generator) -> T:
    return things[int(torch.randint(len(things), (), generator=generator))]


def others_of(scenes: list[Scene], recipe: ReaderRecipe, seed: int) -> list[Lesson]:
    """Lessons that are no counted light: drawn once, as cameras take long to simulate."""
    generator = torch.Generator().manual_seed(seed)
    return [
        draw_other(_one_of(scenes, generator), recipe.most, generator) for _ in range(recipe.others)
    ]


def batch_of(lessons: list[Lesson]) -> tuple[Tensor, Scale, Tensor, Tensor, Tensor]:
    """Windows (B, N, SIDE, SIDE), their scale, what is wanted, and which have numbers,
    and which are counted.
    """
    windows = torch.stack([lesson.windows for lesson in lessons])
    scale = scale_of(windows)
    return windows, scale, *targets(lessons, scale)


@torch.no_grad()
def table(net: CountsReader, scenes: list[Scene], recipe: ReaderRecipe) -> list[dict[str, object]]:
    """Errors of each number on pictures that it was not trained on, and of the choice."""
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    others = others_of(scenes, recipe, recipe.seed + 1)
    errors, spreads, right = [], [], []
    for _ in range(recipe.tests):
        windows, scale, target, some, counted = batch_of(
            drawn(recipe, scenes, others, 1, 20, generator)
        )
        numbers, log_spread, logit = net(windows, scale)
        right.append((logit > 0) == counted)
        if bool(some):
            errors.append(numbers - target)
            spreads.append(log_spread.exp())
    error, spread = torch.cat(errors), torch.cat(spreads)
    rows: list[dict[str, object]] = []
    for place, name in enumerate(NUMBERS):
        size = error[:, place].abs()
        rows.append(
            {
                "number": name,
                "median error": round(float(size.median()), 3),
                "90 %": round(float(size.quantile(0.9)), 3),
                "within its deviation": round(float((size < spread[:, place]).float().mean()), 3),
            }
        )
    share = round(float(torch.cat(right).float().mean()), 3)
    return [
        *rows,
        {"number": "counted", "median error": "", "90 %": "", "within its deviation": share},
    ]


def save(state: dict[str, Tensor], net: CountsReader, out: Path) -> None:
    """Weights in half precision, with the config that they need."""
    save_weights(out / "reader.safetensors", net, "counts-reader", state)


@plain_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--begin", type=Path, help="weights to go on from")
    options = parser.parse_args()
    recipe = ReaderRecipe(**tomllib.loads(options.recipe.read_text()))
    options.out.mkdir(parents=True, exist_ok=True)
    pictures = load_pictures(tuple(recipe.sources), options.data)
    pictures = {name: p for name, p in pictures.items() if min(p.shape[1:]) >= 160}
    pictures_seen, held_out = split(pictures, recipe.hold_out)
    generator = torch.Generator().manual_seed(recipe.seed)
    lit, unseen = ([scene(p, generator) for p in group] for group in (pictures_seen, held_out))
    net = train(recipe, lit, options.out, options.begin)
    save(net.state_dict(), net, options.out)
    rows = table(net, unseen, recipe)
    write_table(options.out / "reader.csv", list(rows[0]), rows)
    for row in rows:
        sys.stdout.write(f"{row}\n")


if __name__ == "__main__":
    main()
