"""From which share of sigma left at half the size a picture is better off with the net for coarse
noise: `python -m benchmarks.specialists PICTURES`. PICTURES holds train/ and val/cameras.

Both nets of `photo` denoise held-out training pictures under white and coarse noises, and the real
pairs of cameras. For each threshold: the mean PSNR when the judge's reading chooses the net.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import judgement
from mdn import noise
from mdn.pipeline import photo, specialist
from mdn.pipeline.options import Options
from mdn.registry import store
from mdn.registry.model import load_model
from mdn.training.data import load_pictures, middle, split

SOURCES = ("train/photos", "train/cid22", "train/clic", "train/cameras")
NOISES = (
    ("gaussian", 5), ("gaussian", 15), ("gaussian", 50), ("poisson", 3.5), ("speckle", 0.04),
    ("spatial", 30), ("spatial", 55), ("mixture", 4), ("gaussian-jpeg", 15), ("correlated", 15),
    ("salt-pepper", 0.02),
)  # fmt: skip
SIDE, STEP = 192, 4
THRESHOLDS = (0.0, 0.52, 0.55, 0.58, 0.6, 0.62, 0.64, 0.66, 0.68, 0.7, 0.75, 1.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-m", "--model", default="photo")
    options = parser.parse_args()
    model = load_model(store.find(options.model), torch.device("cpu"))
    coarse = replace(model, card=replace(model.card, white=""))
    rows = []
    for noisy, clean in _pairs(options.data):
        found = photo.restore(noisy, coarse, Options())
        assert found.noise is not None
        assert found.noise.reading is not None
        white = specialist.with_net_of(model, model.card.white)
        other = photo.restore(noisy, replace(white, card=coarse.card), Options())
        scores = [judgement.psnr(each.pixels, clean) for each in (found, other)]
        rows.append((found.noise.reading.half, *scores))
    print("| threshold | mean PSNR | to the net for white noise |\n| ---: | ---: | ---: |")
    for at in THRESHOLDS:
        chosen = [white if half <= at else mine for half, mine, white in rows]
        share = np.mean([half <= at for half, *_ in rows])
        print(f"| {at:g} | {np.mean(chosen):.3f} | {share:.0%} |")


def _pairs(data: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Noisy and clean (H, W, 3) uint8."""
    _, held_out = split(load_pictures(SOURCES, data), 25)
    generator = torch.Generator().manual_seed(0)
    found = []
    for picture in [p for p in held_out if min(p.shape[1:]) >= SIDE][::STEP]:
        clean = middle(picture, SIDE).float() / 255
        for kind, level in NOISES:
            noisy = noise.add(clean, kind, level, generator)
            found.append((_stored(noisy), _stored(clean)))
    cameras = data / "val" / "cameras"
    names = zip(
        load_pictures(("noisy",), cameras).values(),
        load_pictures(("gt",), cameras).values(),
        strict=True,
    )
    return found + [tuple(_stored(middle(x, 256) / 255) for x in pair) for pair in names][::3]  # type: ignore[misc]


def _stored(x: torch.Tensor) -> np.ndarray:
    return (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


if __name__ == "__main__":
    main()
