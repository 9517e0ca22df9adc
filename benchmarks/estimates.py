"""How far `mdn noise --estimate` is off: `python -m benchmarks.estimates FOLDER... [--limit 8]`.

Gaussian noise of known level on clean pictures, clipped and rounded to 8 bits; of `photo`'s judge
and of statistics alone, which nets without a judge are told. A folder called `drawn` needs not be
there: smooth drawings without texture, 256 x 256. The mean of the estimates, the mean of their
relative errors, and how many are within 10 %.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch

from benchmarks import folders
from mdn import noise
from mdn.commands.estimate import of_page
from mdn.noise.analysis.estimate import estimate

LEVELS = (2, 5, 10, 25, 50)


def main() -> None:
    """Prints a table for each folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pictures_or_drawn, nargs="+")
    parser.add_argument("--limit", type=int)
    asked = parser.parse_args()
    for folder in asked.folder:
        paths = sorted(folder.glob("*.[jp][pn]g"))[: asked.limit]
        pictures = [iio.imread(path) for path in paths] or list(drawn())
        print(f"{folder.name}: {len(pictures)} pictures; by the judge, by statistics")
        print("| sigma | mean | mean error | within 10 % | mean | mean error | within 10 % |")
        for level in LEVELS:
            noisy = [with_noise(picture, level) for picture in pictures]
            judged = [255 * of_page(each, "")[0].sigma for each in noisy]
            measured = [
                255 * estimate(torch.from_numpy(each).permute(2, 0, 1) / 255).sigma
                for each in noisy
            ]
            print(f"| {level} | {row(judged, level)} | {row(measured, level)} |", flush=True)


def pictures_or_drawn(text: str) -> Path:
    """The folder of that name, or the word "drawn" for pictures without texture."""
    return Path(text) if text == "drawn" else folders.of_files(text)


def with_noise(picture: np.ndarray, level: float) -> np.ndarray:
    """(H, W, 3) uint8, and noise of that level on the 0-255 scale."""
    clean = torch.from_numpy(picture).permute(2, 0, 1) / 255
    noisy = noise.add(clean, "gaussian", float(level), torch.Generator().manual_seed(0))
    return noisy.mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()


def row(found: list[float], level: float) -> str:
    """Three cells of the table."""
    error = np.abs(np.array(found) / level - 1)
    return f"{np.mean(found):.2f} | {error.mean():.1%} | {int((error <= 0.1).sum())}"


def drawn() -> Iterator[np.ndarray]:
    """One flat, one of ramps, one of waves."""
    y, x = np.mgrid[:256, :256] / 256
    flat = np.full_like(x, 0.5)
    waves = [0.5 + 0.25 * part for part in (np.sin(9 * x + 3 * y), np.sin(7 * y), np.cos(5 * x))]
    for planes in ([flat] * 3, [0.2 + 0.6 * x, 0.2 + 0.6 * y, flat], waves):
        yield np.rint(255 * np.stack(planes, -1)).astype(np.uint8)


if __name__ == "__main__":
    main()
