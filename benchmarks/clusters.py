"""Throughput of two workers against one: Dask workers, and shards side by side.

    python -m benchmarks.clusters [--photos 100] [--side 32768] [--work DIR] [--model photo]

Needs two quiet cores. Every worker has one thread. 100 photos of 2 megapixels, then one Zarr store
of --side x --side pixels of 16 bits; times are of the whole command, starts of workers included.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr
from PIL import Image

AXES = [{"name": name, "type": "space"} for name in "yx"]


def photos(folder: Path, count: int) -> Path:
    """Noisy pictures of 2 megapixels, all different."""
    folder.mkdir(parents=True)
    y, x = np.mgrid[:1224, :1632]
    for index in range(count):
        random = np.random.default_rng(index)
        waves = 128 + 80 * np.sin(x / random.uniform(5, 50) + y / random.uniform(5, 50))
        noisy = waves[..., None] + random.normal(0, 20, (*x.shape, 3))
        picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        picture.save(folder / f"{index:03}.jpg", quality=95)
    return folder


def store(path: Path, side: int) -> Path:
    """An OME-Zarr of one plane of noisy counts, in chunks of 1024 x 1024, and a smaller level."""
    root, random = zarr.open_group(path, mode="w", zarr_format=2), np.random.default_rng(0)
    large, small = (
        root.create_array(
            str(level), shape=(side >> level,) * 2, chunks=(1024,) * 2, dtype="uint16"
        )
        for level in (0, 1)
    )
    columns = np.arange(side)
    for top in range(0, side, 1024):
        light = 1000 + 500 * np.sin(columns / 40 + top / 300)[None]
        rows = random.poisson(np.broadcast_to(light, (min(1024, side - top), side)))
        large[top : top + 1024] = rows.astype(np.uint16)
        small[top // 2 : (top + 1024) // 2] = rows[::2, ::2].astype(np.uint16)
    root.attrs["multiscales"] = [{"axes": AXES, "datasets": [{"path": "0"}, {"path": "1"}]}]
    return path


def seconds(*commands: list[str]) -> float:
    """Wall-clock time of commands that run side by side, one thread each."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    begin = time.monotonic()
    running = [
        subprocess.Popen([sys.executable, "-m", "mdn", *words, "-q"], env=environment)
        for words in commands
    ]
    if any(each.wait() for each in running):
        raise SystemExit("a command failed")
    return time.monotonic() - begin


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--side", type=int, default=32768)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--model")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.work) as place:
        work = Path(place)
        sources = [photos(work / "photos", asked.photos), store(work / "large.zarr", asked.side)]
        print(
            f"{'':<12} {'1 process':>10} {'1 worker':>10} {'2 workers':>10} {'2 shards':>10}  gain"
        )
        for source in sources:
            out = work / f"out{source.suffix}"
            model = ["-m", asked.model] if asked.model else []
            command = ["denoise", str(source), "-o", f"{out}{'' if source.suffix else '/'}", *model]
            times = []
            for parts in ([[]], [["--dask", "local:1"]], [["--dask", "local:2"]],
                          [["--shard", "1/2"], ["--shard", "2/2"]]):  # fmt: skip
                times.append(seconds(*([*command, *part] for part in parts)))
                shutil.rmtree(out)
            gains = f"{times[1] / times[2]:.2f}, shards {times[0] / times[3]:.2f}"
            print(f"{source.name:<12} " + " ".join(f"{t:8.1f} s" for t in times) + f"  {gains}")


if __name__ == "__main__":
    main()
