"""The simulated camera beside real ones: `python -m benchmarks.camera_noise PICTURES/val/cameras`.

PICTURES/val/cameras holds noisy/ and gt/ of one name; the ISO setting is the fourth part of it
(Canon5D2_5_160_3200_plug_11.jpg). Each clean picture is also taken by `mdn.noise.synthesis.camera`
at that ISO, `--draws` times. A table compares what is left of both after the clean picture is
subtracted; `--sheet FILE.png` shows crops of the real pictures on the left, of the simulated ones
on the right.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from benchmarks import folders
from mdn.noise.synthesis.camera import take_photos

LAGS = ((0, 1), (1, 0), (0, 2), (1, 1), (0, 4), (0, 12))  # rows, columns
BLOCK = 8  # pixels a side, of a JPEG and of the places that are compared
COLOURS = (("R", 0), ("G", 1), ("B", 2))
QUANTILES = (0.1, 0.5, 0.9)
CROP, ZOOM = 128, 2  # of the sheet: pixels a side, enlargement


def statistics(noisy: Tensor, clean: Tensor) -> dict[str, float]:
    """What there is to say of the noise of a picture (3, H, W), 0..1, whose clean twin is known.

    sigma (0-255) of each channel and at a half and a quarter of the size, where pixels are means of
    2x2 and 4x4; autocorrelation at LAGS, mean of the channels; correlation between channels; how
    the noise of dark places compares with that of bright ones, and of busy ones with calm ones; how
    much more neighbours differ across the borders of 8 x 8 blocks than elsewhere (mean squares).
    """
    noise = noisy - clean
    noise = noise - noise.mean((1, 2), keepdim=True)
    found = {f"sigma {name}": 255 * float(noise[at].std()) for name, at in COLOURS}
    sigma = float(noise.square().mean().sqrt())
    found |= {"sigma": 255 * sigma}
    for parts in (2, 4):
        reduced = float(F.avg_pool2d(noise[None], parts).square().mean().sqrt())
        found[f"sigma at 1/{parts} size, share of the whole"] = reduced / sigma
    for down, across in LAGS:
        found[f"autocorrelation ({down},{across})"] = autocorrelation(noise, down, across)
    between = torch.corrcoef(noise.flatten(1))
    for first, second in ((0, 1), (1, 2), (0, 2)):
        name = COLOURS[first][0] + COLOURS[second][0]
        found[f"correlation {name}"] = float(between[first, second])
    return found | by_place(noise, clean) | {"steps at 8 x 8 blocks": steps_at_blocks(noise)}


def by_place(noise: Tensor, clean: Tensor) -> dict[str, float]:
    """Ratios of the fine noise of places: the darkest and brightest third of the calmer half; the
    busiest and the calmest quarter."""
    fine = noise - F.avg_pool2d(noise, 3, 1, 1, count_include_pad=False)
    sigma = F.avg_pool2d(fine.square().mean(0, keepdim=True), BLOCK).sqrt().flatten()
    brightness = F.avg_pool2d(clean.mean(0, keepdim=True), BLOCK).flatten()
    slope = clean.mean(0) - F.avg_pool2d(clean.mean(0)[None], 3, 1, 1, count_include_pad=False)[0]
    detail = F.avg_pool2d(slope.abs()[None], BLOCK).flatten()

    def share(of: Tensor, low: float, high: float) -> Tensor:
        return (of >= of.quantile(low)) & (of <= of.quantile(high))

    calm = share(detail, 0, 0.5)
    lights, sigmas = brightness[calm], sigma[calm]
    dark, bright = (sigmas[share(lights, *ends)].mean() for ends in ((0, 0.3), (0.7, 1)))
    busy, still = (sigma[share(detail, *ends)].mean() for ends in ((0.75, 1), (0, 0.25)))
    return {"dark over bright": float(dark / bright), "busy over calm": float(busy / still)}


def steps_at_blocks(noise: Tensor) -> float:
    steps = noise.diff(dim=2).square().mean((0, 1))
    border = torch.arange(len(steps)) % BLOCK == BLOCK - 1
    return float(steps[border].mean() / steps[~border].mean())


def autocorrelation(noise: Tensor, down: int, across: int) -> float:
    """Mean over the channels of (C, H, W) of the correlation with itself, shifted."""
    height, width = noise.shape[1:]
    here = noise[:, : height - down, : width - across].flatten(1)
    there = noise[:, down:, across:].flatten(1)
    return float(F.cosine_similarity(here, there, dim=1).mean())


Pair = tuple[Tensor, Tensor]


def pairs(folder: Path, draws: int) -> Iterator[tuple[str, Pair, list[Pair]]]:
    """Name, the real (noisy, clean) pair, and simulated ones; (3, H, W) of 0..1."""
    for number, path in enumerate(sorted((folder / "noisy").iterdir())):
        noisy, clean = read(path), read(folder / "gt" / path.name)
        generator = torch.Generator().manual_seed(number)
        simulated = [take_photos(clean, iso(path.name), generator) for _ in range(draws)]
        yield path.name, (noisy, clean), simulated


def iso(name: str) -> float:
    """The ISO setting in the name of a file."""
    return float(name.split("_")[3])


def read(path: Path) -> Tensor:
    """(3, H, W) of 0..1."""
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1) / 255


def table(real: list[dict[str, float]], simulated: list[dict[str, float]]) -> str:
    """10 %, median and 90 % of each figure over the pictures, Markdown."""
    heads = " | ".join(f"{who} {q:.0%}" for who in ("real", "simulated") for q in QUANTILES)
    lines = [f"| of the noise | {heads} |", "| --- |" + " ---: |" * (2 * len(QUANTILES))]
    for name in real[0]:
        figures = [
            f"{np.quantile([each[name] for each in side], q):.2f}"
            for side in (real, simulated)
            for q in QUANTILES
        ]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def sheet(rows: list[tuple[Tensor, Tensor]]) -> Image.Image:
    """Middles of pictures, real beside simulated, enlarged."""
    lines = [torch.cat([middle(each) for each in row], 2) for row in rows]
    half = (len(lines) + 1) // 2
    lines += [torch.zeros_like(lines[0])] * (2 * half - len(lines))
    columns = [torch.cat(lines[:half], 1), torch.cat(lines[half:], 1)]
    page = (torch.cat(columns, 2) * 255).round().byte().permute(1, 2, 0).numpy()
    size = (page.shape[1] * ZOOM, page.shape[0] * ZOOM)
    return Image.fromarray(page).resize(size, Image.Resampling.NEAREST)


def middle(picture: Tensor) -> Tensor:
    top, left = ((length - CROP) // 2 for length in picture.shape[1:])
    return picture[:, top : top + CROP, left : left + CROP].clamp(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=folders.with_parts("noisy", "gt"))
    parser.add_argument("--draws", type=int, default=2, help="simulated cameras a picture")
    parser.add_argument("--sheet", type=Path, help="a PNG of crops")
    parser.add_argument("--rows", type=int, default=8, help="pictures of the sheet")
    options = parser.parse_args()
    real, simulated, rows = [], [], []
    for _, (noisy, clean), drawn in pairs(options.folder, options.draws):
        real.append(statistics(noisy, clean))
        simulated += [statistics(photo, twin) for photo, twin in drawn]
        rows.append((noisy, drawn[0][0]))
    print(f"{len(real)} real pictures, {len(simulated)} simulated ones of the same scenes\n")
    print(table(real, simulated))
    if options.sheet:
        sheet(rows[:: max(1, len(rows) // options.rows)][: options.rows]).save(options.sheet)


if __name__ == "__main__":
    main()
