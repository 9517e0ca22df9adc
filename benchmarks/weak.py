"""Weak and odd noise, and none at all: `python -m benchmarks.weak PICTURES -m photo`.

The held-out training pictures (every 25th by name), 320x320 of each as they are, and half as much
enlarged twice: such is a photograph at its camera's own resolution. A line for each noise: PSNR of
the 8-bit noisy file, what the model gains over it on average, and at worst. Clean pictures are
counted: how many come back at less than 45 dB. "cam" is the noise of a raw file, weakened, through
the camera's processing and then a JPEG.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import folders
from mdn import noise
from mdn.noise.synthesis.basic import jpeg
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.training.data import load_pictures, split

SIDE = 320
SOURCES = ("photos", "cid22", "bsds")
CAMERA = ((0.3, 96), (0.3, 88), (0.6, 96), (0.6, 88))  # share of the noise; JPEG quality
CODED = ((3, 92), (6, 92), (6, 80))  # sigma; JPEG quality
SUITE = (
    *(("gaussian", level) for level in (1, 2, 5, 15)),
    *(("spatial", level) for level in (10, 30, 55)),
    *(("grain", level) for level in (8, 20)),
    *(("poisson", 0.3), ("isp", 1.0), ("gaussian-jpeg", 15), ("banding-rows", 5), ("mixture", 2)),
)
UNCHANGED = 99.0  # dB, of a picture that comes back as it was


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=folders.with_parts("photos"))
    parser.add_argument("-m", "--model", default="photo")
    parser.add_argument("--step", type=int, default=1, help="every n-th of the pictures")
    options = parser.parse_args()
    model = Models(options.model).load()
    _, held_out = split(load_pictures(SOURCES, options.data), 25)
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for index, picture in list(enumerate(held_out))[:: options.step]:
        for name, noisy, clean in cases(picture, index):
            result = restore_page(noisy, model, Options()).pixels
            rows[name].append((psnr(noisy, clean), psnr(result, clean)))
    print("| noise | noisy | gain | worst |\n| --- | ---: | ---: | ---: |")
    for name, found in rows.items():
        before, after = np.array(found).T
        if name.startswith("clean"):
            print(
                f"| {name}: {(after < 45).sum()} of {len(after)} below 45 | | | {after.min():.1f} |"
            )
        else:
            gain = after - before
            print(f"| {name} | {before.mean():.2f} | {gain.mean():.2f} | {gain.min():.2f} |")


def cases(picture: Tensor, index: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, noisy, clean) pages of uint8 (3, H, W); the same for the same index."""
    side = min(SIDE, *picture.shape[1:])
    own = picture[:, :side, :side].float() / 255
    half = own[None, :, : side // 2, : side // 2]
    enlarged = F.interpolate(half, scale_factor=2, mode="bicubic")[0].clamp(0, 1)
    for clean, size in ((own, "1x"), (enlarged, "2x")):
        for name, noisy in weakly(clean, index):
            yield f"{name}, {size}", page(noisy), page(clean)
    for kind, level in SUITE:
        generator = torch.Generator().manual_seed(index)
        yield f"{kind} {level:g}", page(noise.add(own, kind, level, generator)), page(own)


def weakly(clean: Tensor, index: int) -> Iterator[tuple[str, Tensor]]:
    generator = torch.Generator().manual_seed(index)
    yield "clean", clean
    for quality in (95, 80):
        yield f"JPEG {quality}", coded(clean, quality)
    added = noise.add(clean, "isp", 1.0, generator) - clean
    for share, quality in CAMERA:
        yield f"cam {share:g}, JPEG {quality}", coded(clean + share * added, quality)
    for sigma, quality in CODED:
        noisy = noise.add(clean, "gaussian", sigma, generator)
        yield f"gaussian {sigma}, JPEG {quality}", coded(noisy, quality)


def coded(x: Tensor, quality: int) -> Tensor:
    return jpeg((x.clamp(0, 1) * 255).round() / 255, quality)


def page(x: Tensor) -> np.ndarray:
    """(3, H, W), 0..1 -> (H, W, 3) uint8."""
    return (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def psnr(page: np.ndarray, clean: np.ndarray) -> float:
    error = float(np.square(page.astype(float) - clean).mean())
    return 10 * np.log10(255**2 / error) if error else UNCHANGED


if __name__ == "__main__":
    main()
