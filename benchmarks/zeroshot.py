"""What `mdn zeroshot` gains, and whether the gain that it says is the true one.

    python -m benchmarks.zeroshot FOLDER [--pictures 2] [--side 256] [--noise unknown,jpeg:50]
        [--presets mpi-fast,mpi,mpi-real] [--plot gains.png] [--affine]

FOLDER holds clean pictures, or noisy/ and gt/ of the same names. A line for each kind of noise:
PSNR in dB of the noisy file of 8 bits, of `mdn denoise` and of `mdn zeroshot`, the least that any
picture gained by the latter, how many lost by it, the PSNR of further presets, and the seconds of
each on this processor. Then the correlation of the gains said with the true ones,
and how often one was said where there was none, or the other way round. --affine: PSNR after the
least-squares fit of gain and offset, for pairs that were scaled each on their own, as W2S's were.
"""

import argparse
import functools
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import imageio.v3 as iio
import numpy as np
import torch

from benchmarks import folders
from benchmarks.filling import Silent
from mdn import metrics, noise
from mdn.jobs.job import Job
from mdn.pipeline.in_memory import Picture, treatment
from mdn.pipeline.models import Models
from mdn.zeroshot.fit import Fit
from mdn.zeroshot.request import FILLERS, FitRequest

KNOWN = (("clean", 0), ("gaussian", 25), ("poisson", 2), ("speckle", 0.04), ("spatial", 30))
SOME = 0.05  # dB: what counts as a gain
LITTLE = 0.005  # dB: what counts as a loss
MOST = 99.0  # dB, of a picture that comes back as it was


class Row(NamedTuple):
    """Of one picture: PSNR in dB, seconds, and the gain that was said."""

    noisy: float
    denoise: float
    zeroshot: float
    presets: tuple[float, ...]
    seconds: tuple[float, ...]
    said: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=folders.of_files_or_pairs)
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--noise", default="unknown,known")
    parser.add_argument("--presets", default="")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--affine", action="store_true")
    asked = parser.parse_args()
    rows: dict[str, list[Row]] = defaultdict(list)
    presets = tuple(asked.presets.split(",")) if asked.presets else ()
    columns = ["noise", "noisy", "denoise", "zeroshot", "worst", "lost", *presets]
    columns += ["s"] * (2 + len(presets))
    print(f"| {' | '.join(columns)} |")
    print("| --- |" + " ---: |" * (len(columns) - 1))
    for kind, noisy, clean in cases(asked):
        rows[kind].append(measured(noisy, clean, presets, affine=asked.affine))
        if len(rows[kind]) == asked.pictures:
            print(line(kind, rows[kind]), flush=True)
    every = [row for found in rows.values() for row in found]
    print(line("mean", every))
    true = np.array([row.zeroshot - row.denoise for row in every])
    said = np.array([row.said for row in every])
    both = f"{np.corrcoef(true, said)[0, 1]:.2f}" if true.std() and said.std() else "none"
    print(f"gain said against true: correlation {both} over {len(every)} pictures")
    print(f"said, but lost: {((said > SOME) & (true < -SOME)).sum()}; worst {true.min():+.2f} dB")
    print(f"unsaid, but changed: {((said <= SOME) & (abs(true) > SOME)).sum()}")
    if asked.plot:
        plot(rows, asked.plot)


def cases(asked: argparse.Namespace) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(kind, noisy, clean), (H, W, C) uint8; all pictures of a kind after one another."""
    if (asked.folder / "gt").is_dir():
        for path in sorted((asked.folder / "noisy").iterdir())[: asked.pictures]:
            noisy, clean = (middle(p, asked.side) for p in (path, asked.folder / "gt" / path.name))
            yield asked.folder.name, noisy, clean
        return
    kinds = noise.SUITE | {"known": KNOWN}
    chosen = []
    for name in asked.noise.split(","):
        kind, _, level = name.partition(":")
        chosen += [(kind, float(level))] if level else kinds[name]
    for kind, level in chosen:
        for number, path in enumerate(sorted(asked.folder.iterdir())[: asked.pictures]):
            noisy = clean = middle(path, asked.side)
            if kind != "clean":
                x = torch.from_numpy(np.ascontiguousarray(clean.transpose(2, 0, 1))) / 255
                made = noise.add(x, kind, level, torch.Generator().manual_seed(number))
                noisy = (made.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            yield f"{kind} {level:g}", noisy, clean


def middle(path: Path, side: int) -> np.ndarray:
    """The middle of a picture, (H, W, C) uint8."""
    pixels = iio.imread(path)
    pixels = np.atleast_3d(pixels)[..., :3]
    if (pixels[..., :1] == pixels).all():
        pixels = pixels[..., :1]
    top, left = (max(0, length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def measured(
    noisy: np.ndarray, clean: np.ndarray, presets: tuple[str, ...] = (), *, affine: bool = False
) -> Row:
    """One picture, denoised in each way."""
    outputs, seconds, said = [], [], 0.0
    for preset in (None, "auto", *presets):
        begun = time.process_time()
        if preset is None:
            model = models(None)
            outputs.append(treatment(Picture(noisy[None]), model).restore()[0][0])
        else:
            request = FitRequest(preset)
            fit = Fit(request, Job(None, None, "picture"), Silent())  # type: ignore[arg-type]
            how = treatment(Picture(noisy[None]), models(FILLERS.get(preset)))
            outputs.append(how.restore(adapter=fit)[0][0])
            said = said or float(fit.describe()["gain"])  # type: ignore[arg-type]
        seconds.append(time.process_time() - begun)
    truth, *pictures = (
        torch.from_numpy(p.astype(np.float32) / 255) for p in (clean, noisy, *outputs)
    )
    measure = metrics.psnr_fit if affine else metrics.psnr
    before, plain, fitted, *others = (min(MOST, measure(each, truth)) for each in pictures)
    return Row(before, plain, fitted, tuple(others), tuple(seconds), said)


@functools.cache
def models(name: str | None) -> Models:
    return Models(name, may_fill=True)


def line(kind: str, rows: list[Row]) -> str:
    """A row of the table: means, the least gain, and how many lost."""
    values = [(*row[:3], *row.presets, *row.seconds) for row in rows]
    shown = [f"{mean:.2f}" for mean in np.mean(values, 0)]
    gains = [row.zeroshot - row.denoise for row in rows]
    shown[3:3] = [f"{min(gains):+.2f}", str(sum(gain < -LITTLE for gain in gains))]
    return f"| {kind} | {' | '.join(shown)} |"


def plot(rows: dict[str, list[Row]], path: Path) -> None:
    """The gain said against the true one."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 5))
    for number, (kind, found) in enumerate(rows.items()):
        gains = [(row.zeroshot - row.denoise, row.said) for row in found]
        colour, marker = f"C{number % 10}", "os^"[number // 10 % 3]
        axes.scatter(*zip(*gains, strict=True), label=kind, s=18, color=colour, marker=marker)
    ends = [min(axes.get_xlim()[0], 0), max(axes.get_xlim()[1], 1)]
    axes.plot(ends, ends, color="gray", linewidth=0.8)
    axes.set(xlabel="true gain over mdn denoise, dB", ylabel="gain said, dB")
    axes.legend(fontsize=6, ncol=2)
    figure.savefig(path, dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    main()
