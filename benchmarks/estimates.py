"""How far the blind noise estimate is off: `python -m benchmarks.estimates FOLDER [FOLDER...]`.

Gaussian noise of known level on clean pictures, clipped and rounded to 8 bits. A line for each
level: the mean of the estimates, the mean of their relative errors, and how many are within 10 %.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import imageio.v3 as iio
import torch

from mdn import noise
from mdn.noise.analysis.estimate import estimate

LEVELS = (5, 10, 15, 25, 35, 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+")
    for folder in parser.parse_args().folder:
        paths = sorted(folder.glob("*.[jp][pn]g"))
        pictures = [torch.from_numpy(iio.imread(path)) for path in paths]
        print(f"{folder.name}: {len(pictures)} pictures")
        print("| sigma | mean | mean error | within 10 % |\n| ---: | ---: | ---: | ---: |")
        for level in LEVELS:
            found = torch.tensor([estimated(picture, level) for picture in pictures])
            error = (found / level - 1).abs()
            near = int((error <= 0.1).sum())
            print(f"| {level} | {found.mean():.2f} | {error.mean():.1%} | {near} |", flush=True)


def estimated(picture: torch.Tensor, level: float) -> float:
    """The estimate for (H, W, 3) uint8 with noise of that level, 0-255 scale."""
    clean = picture.permute(2, 0, 1).float() / 255
    noisy = noise.add(clean, "gaussian", float(level), torch.Generator().manual_seed(0))
    return estimate(noisy.mul(255).round().clamp(0, 255) / 255).sigma * 255


if __name__ == "__main__":
    main()
