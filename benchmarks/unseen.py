"""Fixed noisy files beside their peers: `python -m benchmarks.unseen PICTURES -m photo`.

PICTURES/test/ood holds a folder of noisy files for each noise and peers.csv, the PSNR of other
denoisers on exactly these files; the clean ones are those of cbsd68. A line for each noise: the
mean PSNR of its files, and below the table what each model gains least on one file. The files are
denoised as `mdn denoise` does.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from benchmarks import folders
from benchmarks.weak import psnr
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options

BASELINES = ("idf", "bm3d_blind", "nlm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=folders.with_parts("ood", "cbsd68"))
    parser.add_argument("-m", "--models", default="generalist-s15,photo,photo-fast")
    options = parser.parse_args()
    models = {name: Models(name).load() for name in options.models.split(",")}
    columns = ["noisy", *BASELINES, *models]
    print(f"| noise | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}")
    lines: dict[str, list[float]] = defaultdict(list)
    gains: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for noise, peers in by_noise(options.data / "ood" / "peers.csv").items():
        scores: dict[str, list[float]] = defaultdict(list)
        for row in peers:
            clean = iio.imread(next((options.data / "cbsd68").glob(f"{row['image']}.*")))
            noisy = iio.imread(options.data / "ood" / noise / f"{row['image']}.png")
            scores["noisy"].append(psnr(noisy, clean))
            for name in BASELINES:
                scores[name].append(float(row[name] or "nan"))
            for name, model in models.items():
                result = restore_page(noisy, model, Options()).pixels
                scores[name].append(psnr(result, clean))
                gain = scores[name][-1] - scores["noisy"][-1]
                gains[name].append((gain, f"{noise}/{row['image']}"))
        means = [float(np.mean(scores[name])) for name in columns]
        print(line(noise, means), flush=True)
        for name, mean in zip(columns, means, strict=True):
            lines[name].append(mean)
    print(line("mean", [float(np.mean(lines[name])) for name in columns]))
    for name, found in gains.items():
        least, file = min(found)
        worse = sum(gain < 0 for gain, _ in found)
        print(f"\n{name}: least gain {least:+.2f} dB ({file}), {worse} of {len(found)} files worse")


def by_noise(path: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of peers.csv by their noise."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            found[row["noise"]].append(row)
    return found


def line(noise: str, values: list[float]) -> str:
    shown = ["" if np.isnan(value) else f"{value:.2f}" for value in values]
    return f"| {noise} | {' | '.join(shown)} |"


if __name__ == "__main__":
    main()
