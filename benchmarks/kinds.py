"""What models make of every kind of noise, and of what is easily misread, with the worst picture.

    python -m benchmarks.kinds PICTURES -m photo,photo-fast

PICTURES holds val/ and test/. A line for each set of pictures: before, and for each model the mean,
what it gains least on one picture, which, and how many it makes worse.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch

import mdn
from benchmarks import judgement
from benchmarks.weak import psnr
from mdn.training.cases import draw_case

SETS = ("cameras", "polyu", "ood", "kodak", "cbsd", "faults", "cases", "judgement")
FAULTS = {
    "weave_sigma15.png": "weave_truth.png",
    "hot_pixels_spread.jpg": "hot_pixels_truth.png",
    "photo_on_page.png": "photo_on_page_truth.png",
}
LEVELS = {  # of training.cases, on pictures that training held out
    "own-camera": 3200, "processed": 3200, "colour": 15, "film": 12, "uneven": 40,
    "hot-pixels": 0.004, "page": 20, "stars": 6, "glow": 20, "kept": 92, "impulses": 0.01,
}  # fmt: skip
PAIR = tuple[str, np.ndarray, np.ndarray]


def pairs(folder: Path) -> Iterator[PAIR]:
    for file in sorted((folder / "noisy").iterdir()):
        yield file.name, iio.imread(file), iio.imread(folder / "gt" / file.name)


def ood(test: Path) -> Iterator[PAIR]:
    for file in sorted((test / "ood").glob("*/*.png")):
        truth = iio.imread(next((test / "cbsd68").glob(f"{file.stem}.*")))
        yield f"{file.parent.name}/{file.name}", iio.imread(file), truth


def gaussian(folder: Path, sigma: float, step: int) -> Iterator[PAIR]:
    """Unclipped floats, as papers measure."""
    for number, file in enumerate(sorted(folder.iterdir())[::step]):
        truth = iio.imread(file)
        noise = np.random.default_rng(number).normal(0, sigma / 255, truth.shape)
        yield f"{file.stem} {sigma:g}", (truth / 255 + noise).astype(np.float32), truth


def cases(data: Path, kind: str) -> Iterator[PAIR]:
    for number, (name, page) in enumerate(judgement.photographs(data, 256).items()):
        x = torch.from_numpy(page).permute(2, 0, 1)[None].float() / 255
        generator = torch.Generator().manual_seed(number)
        noisy, _, truth = draw_case(kind, x, torch.tensor([float(LEVELS[kind])]), generator)
        files = [
            (part[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            for part in (noisy, truth)
        ]
        yield f"{kind} {name}", files[0], files[1]


def faults(folder: Path) -> Iterator[PAIR]:
    for noisy, truth in FAULTS.items():
        yield noisy, iio.imread(folder / noisy)[..., :3], iio.imread(folder / truth)[..., :3]


def decibels(result: np.ndarray, truth: np.ndarray) -> float:
    if not np.any(result != truth):
        return judgement.EQUAL
    if result.dtype.kind == "f":
        result = np.clip(result, 0, 1)
        return float(-10 * np.log10(np.square(result - truth / 255).mean()))
    return psnr(result, truth)


def compare(title: str, rows: Iterator[PAIR], ways: dict[str, Callable]) -> None:
    before: list[float] = []
    scores: dict[str, list[float]] = {name: [] for name in ways}
    names = []
    for name, noisy, truth in rows:
        names.append(name)
        before.append(decibels(noisy, truth))
        for way, denoise in ways.items():
            scores[way].append(decibels(denoise(noisy), truth))
    line = f"{title} ({len(names)}): {np.mean(before):.2f}"
    for way, found in scores.items():
        gains = np.array(found) - before
        least = int(gains.argmin())
        harmed = int((gains < -0.02).sum())
        line += f" | {way} {np.mean(found):.2f}, least {gains[least]:+.2f} ({names[least]}),"
        line += f" {harmed} worse"
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-m", "--models", default="photo", help="names or folders, by commas")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--step", type=int, default=1, help="every n-th picture of a set")
    options = parser.parse_args()
    ways: dict[str, Callable] = {name: mdn.load_model(name) for name in options.models.split(",")}
    test, step = options.data / "test", options.step
    for name in options.sets.split(","):
        if name == "cameras":
            compare("val/cameras", _every(pairs(options.data / "val/cameras"), step), ways)
        elif name == "polyu":
            compare("test/polyu", _every(pairs(test / "polyu"), step), ways)
        elif name == "ood":
            for noise in sorted({row[0].split("/")[0] for row in ood(test)}):
                kind = (row for row in ood(test) if row[0].startswith(f"{noise}/"))
                compare(f"ood {noise}", _every(kind, step), ways)
        elif name in ("cbsd", "kodak"):
            folder = test / {"cbsd": "cbsd68", "kodak": "kodak24"}[name]
            for sigma in (15, 25, 50):
                compare(f"{name} {sigma}", gaussian(folder, sigma, step), ways)
        elif name == "cases":
            for kind in LEVELS:
                compare(kind, _every(cases(options.data, kind), step), ways)
        elif name == "faults":
            for row in faults(test / "faults"):
                compare(row[0], iter([row]), ways)
        elif name == "judgement":
            for way, denoise in ways.items():
                found = list(judgement.measure(denoise, options.data, 256, step))
                harmed = sum(case.worse for case in found)
                print(
                    judgement.table(found), f"\n{way}: {harmed} of {len(found)} worse", flush=True
                )


def _every(rows: Iterator[PAIR], step: int) -> Iterator[PAIR]:
    return (row for number, row in enumerate(rows) if number % step == 0)


if __name__ == "__main__":
    main()
