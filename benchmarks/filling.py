"""PSNR against seconds: mdn zeroshot beside MPI's own schedule, run with our net, and from scratch.

    python -m benchmarks.filling FOLDER [--pictures 2] [--crop 128] [--noise gaussian:25]
        [--iters 200] [--threads 1]

The schedule is the published one (Ma et al., NeurIPS 2024, section 3.2): float32, the whole picture
a step, Adam 2e-3, 30 % of the samples hidden, a running average of what is put out where they were
(decay .90 in its fast mode of 200 steps). Seconds are processor time, all that a picture takes;
PSNR in dB, 8 bits, mean of the pictures, the noisy input clipped and rounded.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from torch import Tensor

from benchmarks import folders
from mdn import nets, noise
from mdn.jobs.job import Job
from mdn.metrics import psnr
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry import store
from mdn.registry.model import load
from mdn.zeroshot.fit import Fit
from mdn.zeroshot.request import FitRequest

OURS = [
    ("default", None, FitRequest()),
    *((f"photo, {n} steps", None, FitRequest(iters=n)) for n in (60, 120)),
    *((f"mpi-synthetic, {n} steps", "mpi-synthetic", FitRequest(iters=n)) for n in (50, 100, 200)),
]
LOOKS = (1, 10, 25, 50, 100, 150, 200, 400, 600, 1000)  # steps of the published schedule


class Silent:
    """A report that tells nobody."""

    def __getattr__(self, name: str) -> object:
        return lambda *arguments: None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=folders.of_files)
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--noise", default="gaussian:25")
    parser.add_argument("--iters", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    kind, level = asked.noise.split(":")
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for number, path in enumerate(sorted(asked.folder.iterdir())[: asked.pictures]):
        clean = middle(path, asked.crop)
        generator = torch.Generator().manual_seed(number)
        noisy = noise.add(clean, kind, float(level), generator).clamp(0, 1).mul(255).round()
        for name, step, seconds, output in runs(noisy.byte(), asked.iters):
            figures = seconds, psnr(output / 255, clean)
            found.setdefault((name, step), []).append(figures)
            print(path.stem, name, step, *(f"{x:.2f}" for x in figures), file=sys.stderr)
    print("| way | steps | s a picture | PSNR dB |\n| --- | ---: | ---: | ---: |")
    for (name, step), each in found.items():
        seconds, score = np.mean(each, 0)
        print(f"| {name} | {step} | {seconds:.1f} | {score:.2f} |")


def middle(path: Path, side: int) -> Tensor:
    """(3, side, side) from the middle of a picture, nominal range [0, 1]."""
    pixels = iio.imread(path)
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return torch.from_numpy(pixels[top : top + side, left : left + side]).permute(2, 0, 1) / 255


def runs(noisy: Tensor, iters: int) -> Iterator[tuple[str, int, float, Tensor]]:
    """(way, steps, seconds, output 0-255) of each way at each look."""
    page = noisy.permute(1, 2, 0).numpy()
    for name, model, asked in OURS:
        begun = time.process_time()
        fit = Fit(asked, Job(None, None, name), Silent())  # type: ignore[arg-type]
        loaded = Models(model, device="cpu", may_fill=True).load()
        output = restore_page(page, loaded, Options(), adapter=fit).pixels
        steps = fit.describe()["steps"]
        seconds = time.process_time() - begun
        yield f"mdn: {name}", steps, seconds, torch.from_numpy(output).permute(2, 0, 1).float()
    for name in ("pre-trained", "from scratch"):
        for step, seconds, output in published(noisy, iters, scratch=name == "from scratch"):
            yield f"published schedule, {name}", step, seconds, output


def published(noisy: Tensor, iters: int, *, scratch: bool) -> Iterator[tuple[int, float, Tensor]]:
    """(step, seconds, running average 0-255) of MPI's iterative filling."""
    torch.manual_seed(0)
    net = load(store.find("mpi-synthetic"), torch.device("cpu"))
    if scratch:
        net = nets.build("mpi-skip", asdict(net.config))
    net = net.float().train().requires_grad_(True)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    y = noisy[None] / 255
    average, decay = y.clone(), 0.9 if iters <= 200 else 0.99
    begun = time.process_time()
    for step in range(1, iters + 1):
        visible = (torch.rand(y.shape) >= 0.3).float()
        output = net(y, visible=visible)
        hidden = 1 - visible
        average += (1 - decay) * hidden * (output.detach() - average)
        optimiser.zero_grad()
        (((output - y).square() * hidden).sum() / hidden.sum()).backward()
        optimiser.step()
        if step in LOOKS:
            yield step, time.process_time() - begun, (average[0] * 255).clamp(0, 255)


if __name__ == "__main__":
    main()
