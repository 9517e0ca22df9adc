"""`python -m benchmarks.mixture`: trains the net that mixes `render` and `oidn`.

Its examples are the results of both on scenes that `render` was not trained on (`benchmarks.scenes
--hard`), so that it learns how far each is to be trusted on what it has not seen:

    python -m benchmarks.scenes --hard --out SCENES/train --count 48 --seed 5000 --spp 4,8,16,64
    python -m benchmarks.scenes --hard --out SCENES/valid --count 8 --seed 6000 --spp 4,8,16,64
    python -m benchmarks.mixture --data SCENES --out models/render+oidn
"""

import csv
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from mdn.bench.renders import Pair, Render, find_pairs, read
from mdn.encoding import Hdr
from mdn.encoding.hdr import exposure
from mdn.nets.mixer import Mixer, MixerConfig
from mdn.pipeline import external, linear
from mdn.pipeline.options import Options
from mdn.registry import store
from mdn.registry.model import Model, load_model, pack, write_card
from mdn.renders import repair
from mdn.renders.fireflies import Rule

PARTS = ("render", "oidn")
CROP, BATCH = 64, 8
LR = 4e-3
EXPOSURE = 4.0  # crops are exposed up to so many times as bright or dark, both ways together
PEAK = 1.6  # coded values beyond this count alike: lamps must not rule the loss
DARK = 0.05  # coded light below which errors count no more
Example = tuple[Tensor, Tensor, Tensor]  # (K, 3, H, W) candidates, (6, H, W), (3, H, W) reference


def example(pair: Pair, parts: list[Model]) -> Example:
    """One noisy render and its reference, linear light at an exposure of 1."""
    noisy, truth = read(pair.noisy, pair.scene), read(pair.reference, pair.scene)
    guides = external.clean_guides(_auxiliary(noisy), parts[1])
    light, _ = repair.prepared(noisy.beauty, Rule(), guides)
    scale = exposure(light)
    results = [
        linear.restore(
            light,
            part,
            Options(),
            exposure=scale,
            auxiliary=guides,
            guides=guides,
            clean_guides=True,
        )
        for part in parts
    ]
    stack = scale * np.stack([*results, light]).transpose(0, 3, 1, 2)
    return tuple(  # type: ignore[return-value]
        torch.from_numpy(np.ascontiguousarray(each, np.float32))
        for each in (stack, guides.transpose(2, 0, 1), scale * truth.beauty.transpose(2, 0, 1))
    )


def _auxiliary(render: Render) -> np.ndarray:
    assert render.albedo is not None
    assert render.normal is not None
    return np.concatenate([render.albedo.clip(0, 1), render.normal.clip(-1, 1)], -1)


def examples(folder: Path) -> list[Example]:
    """Of all pairs of a folder; kept there once made."""
    cache = folder / "mixture.pt"
    if cache.is_file():
        return torch.load(cache)
    parts = [load_model(store.find(name), torch.device("cpu")) for name in PARTS]
    pairs, _ = find_pairs(folder.glob("*.exr"))
    made = []
    for pair in pairs:
        made.append(example(pair, parts))
        typer.echo(f"{len(made)} of {len(pairs)}", err=True)
    torch.save(made, cache)
    return made


def encode(light: Tensor) -> Tensor:
    """As `Hdr` shows exposed light to a net."""
    values = Hdr().encode(light.numpy())
    return torch.from_numpy(values)


def batch(made: list[Example], random: np.random.Generator) -> Example:
    """Crops, flipped and turned, their colours in any order, in other light, guides left out."""
    rows = []
    for _ in range(BATCH):
        stack, guides, truth = made[random.integers(len(made))]
        top, left = (int(random.integers(side - CROP + 1)) for side in truth.shape[1:])
        where = (..., slice(top, top + CROP), slice(left, left + CROP))
        order = torch.from_numpy(random.permutation(3))
        bright = EXPOSURE ** (random.random() - 0.5)
        light = torch.cat([stack, truth[None]])[where][:, order] * bright
        axes, _ = np.linalg.qr(random.normal(size=(3, 3)))
        normal = torch.einsum("ij,jhw->ihw", torch.from_numpy(axes).float(), guides[where][3:])
        beside = torch.cat([guides[where][:3][order], normal]) * float(random.random() > 0.1)
        turn, flip = int(random.integers(4)), random.random() < 0.5
        both = [torch.rot90(each, turn, (-2, -1)) for each in (encode(light), beside)]
        both = [each.flip(-1) for each in both] if flip else both
        rows.append((both[0][:-1], both[1], both[0][-1]))
    return tuple(torch.stack(each) for each in zip(*rows, strict=True))  # type: ignore[return-value]


def loss(mixed: Tensor, truth: Tensor) -> Tensor:
    """Squared error as a display shows it: gamma of light up to white, and little beyond."""
    shown = [_shown(each) for each in (mixed, truth)]
    return ((shown[0] - shown[1]) ** 2).mean() + 0.1 * (
        (mixed - truth).clamp(-PEAK, PEAK) ** 2
    ).mean()


def _shown(values: Tensor) -> Tensor:
    light = torch.expm1(values.clamp(0, PEAK) * float(np.log1p(Hdr().mu))) / Hdr().mu
    return (light + 1e-3).clamp(max=1.0) ** (1 / 2.2)


@torch.no_grad()
def psnr(net: Mixer, made: list[Example]) -> np.ndarray:
    """Mean over examples, of each candidate and of the mixture."""
    rows = []
    for stack, guides, truth in made:
        coded, goal = encode(stack), _shown(encode(truth))
        shown = [_shown(each) for each in (*coded, net(coded[None], guides[None])[0])]
        rows.append([-10 * float(((each - goal) ** 2).mean().log10()) for each in shown])
    return np.mean(rows, 0)


def train(data: Path, steps: int, seed: int) -> tuple[Mixer, list[list[float]]]:
    """The net, and rows of step, loss, and PSNR on the scenes of `valid`."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    taught, held = examples(data / "train"), examples(data / "valid")
    net = Mixer(MixerConfig())
    optimizer = torch.optim.AdamW(net.parameters(), LR, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
    table, mean, begun = [], 0.0, time.monotonic()
    for step in range(1, steps + 1):
        stack, guides, truth = batch(taught, random)
        value = loss(net(stack, guides), truth)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean += (float(value.detach()) - mean) / min(step, 100)
        if step % max(1, steps // 12) == 0:
            table.append([step, mean, *psnr(net, held)])
            row = " ".join(f"{each:.5g}" for each in table[-1])
            typer.echo(f"{row}  after {time.monotonic() - begun:.0f} s", err=True)
    return net, table


def main(
    data: Annotated[Path, typer.Option(help="Holds train/ and valid/ of benchmarks.scenes.")],
    out: Annotated[Path, typer.Option(help="Gets card.toml, weights and training.csv.")],
    steps: Annotated[int, typer.Option(min=1)] = 1500,
    seed: Annotated[int, typer.Option(min=0)] = 1,
) -> None:
    """Trains the mixture; prints PSNR of each candidate and of the mixture on valid/."""
    net, table = train(data, steps, seed)
    out.mkdir(parents=True, exist_ok=True)
    state = {key: value.half() for key, value in net.state_dict().items()}
    (out / "weights.safetensors").write_bytes(pack(net, "mixer", state))
    about = {
        "name": "render+oidn",
        "title": "The best for renders",
        "summary": "Mixes render and Open Image Denoise pixel by pixel: needs mdn[oidn].",
        "licence": "as render and oidn, which it calls; its own weights CC0",
        "training_data": "48 scenes of our own, rendered with Mitsuba 3",
        "noise_seen": ["path tracing, 4-64 spp"],
        "domain": "hdr",
        "kind": "mixture",
        "mixes": list(PARTS),
    }
    write_card(out, net, "mixer", "weights.safetensors", about)
    with (out / "training.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["step", "loss", *PARTS, "noisy", "mixed"])
        writer.writerows([[f"{each:.6g}" for each in row] for row in table])


if __name__ == "__main__":
    typer.run(main)
